import { writeSync } from 'node:fs';
import { openSqliteClaims } from '../../stores/claims/sqlite.ts';
import { cause, crashBatch, CRASH_KEY, options } from './claims-fixture.ts';

/** Applies batch after batch until it is killed, and says which ones have been acknowledged. */
const [path = '', from = '0'] = process.argv.slice(2);
const claims = await openSqliteClaims({ path, masterKey: CRASH_KEY, ...options() });
for (let number = Number(from); ; number += 1) {
  await claims.apply({ id: `b${number}`, observations: crashBatch(number), cause: cause(1_000 + number) });
  await claims.closeWindow(`w${number}`, [`b${number}`]);
  // Written at once: what a killed process had still buffered would be lost.
  writeSync(1, `${number}\n`);
}
