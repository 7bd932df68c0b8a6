/** Loads one batch into Snowflake, until it is killed. */
import { z } from 'zod';
import { openSnowflake } from '../support/fakesnow.ts';
import type { LoadRequest } from '../../warehouses/warehouse.ts';

const [url = '', database = '', folder = '', text = ''] = process.argv.slice(2);
const request: LoadRequest = z.custom<LoadRequest>().parse(JSON.parse(text));
const warehouse = await openSnowflake(url, folder, { database });
await warehouse.load(request, new AbortController().signal);
await warehouse.close();
