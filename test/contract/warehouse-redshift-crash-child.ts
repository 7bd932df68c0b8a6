/** Loads one batch into Redshift's stand-in; kills itself as it sends the n-th statement, or some time after it did. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { LoadRequest } from '../../warehouses/warehouse.ts';
import { openRedshift } from '../support/redshift.ts';

const [url = '', s3 = '', folder = '', at = '', afterMs = '', text = ''] = process.argv.slice(2);
const request: LoadRequest = z.custom<LoadRequest>().parse(JSON.parse(text));
let statements = 0;
const kill = (): void => void process.kill(process.pid, 'SIGKILL');
const warehouse = await openRedshift({ url: s3, bucket: 'stage' }, url, folder, {
  onStatement: () => {
    statements += 1;
    if (statements !== Number(at)) return;
    if (afterMs === '0') kill();
    // The server has the statement by then, and may have done it.
    else void sleep(Number(afterMs)).then(kill);
  },
});
await warehouse.load(request, new AbortController().signal);
await warehouse.close();
process.stdout.write(`${statements}\n`);
