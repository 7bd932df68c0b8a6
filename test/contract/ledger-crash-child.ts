import { writeSync } from 'node:fs';
import { openSqliteLedger } from '../../stores/ledger/sqlite.ts';
import {
  batch,
  CONNECTION,
  hour,
  load,
  owner,
  page,
  receipt,
  request,
  schema,
  SINK,
  slice,
} from './ledger-fixture.ts';

/** Works on a ledger until it is killed, and says on its output what has been acknowledged, one JSON line each. */
const [path = '', name = ''] = process.argv.slice(2);
const ledger = await openSqliteLedger({ path });
// Written at once: what a killed process had still buffered would be lost.
const acknowledged = (fact: Record<string, unknown>) => writeSync(1, `${JSON.stringify(fact)}\n`);
const PAGES = 4;

for (let round = 1; ; round += 1) {
  const open = await ledger.openWindows(CONNECTION);
  const covered = (await ledger.coverage(CONNECTION, 'Contact'))[0]?.until ?? hour(0);
  const until = new Date(Date.parse(covered) + 3_600_000).toISOString();
  const plan = await ledger.planWindow(
    request(until, { owner: owner(name), closedOwners: open.map((one) => one.owner), now: hour(round) }),
  );
  if (plan.kind !== 'window') throw new Error(`no window but ${plan.kind}`);
  const { id, attempt } = plan.window;
  acknowledged({ planned: id, attempt });
  await ledger.storePlan(id, attempt, { schema, slices: [slice(0)], countBefore: null, readAt: until });
  const [stored] = (await ledger.progress(id)).slices;
  for (let index = stored?.pages.length ?? 0; index < PAGES; index += 1) {
    await ledger.commitPage(id, attempt, 0, page(0, index), { next: index + 1 });
    acknowledged({ window: id, pages: index + 1 });
  }
  await ledger.sliceExtracted(id, attempt, 0);
  await ledger.storeBatch(id, attempt, 0, batch(id, 0));
  await ledger.storeLoad(SINK, id, attempt, load('b_0'));
  await ledger.commitSource(id, attempt, receipt(plan.window));
  acknowledged({ staged: id });
  await ledger.commitSink(SINK, [{ window: id, attempt }], { epoch: 'e', seq: round });
  acknowledged({ landed: id });
}
