/** Loads one batch into a Postgres warehouse, again and again until it is killed. */
import { z } from 'zod';
import { openPostgres } from '../support/postgres-warehouse.ts';
import type { LoadRequest } from '../../warehouses/warehouse.ts';

const [url = '', folder = '', text = ''] = process.argv.slice(2);
const request: LoadRequest = z.custom<LoadRequest>().parse(JSON.parse(text));
const warehouse = await openPostgres(url, folder);
process.stdout.write('loading\n');
await warehouse.load(request, new AbortController().signal);
process.stdout.write('loaded\n');
await warehouse.close();
