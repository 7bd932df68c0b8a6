import { writeSync } from 'node:fs';
import { openInbox } from '../../stores/inbox/open.ts';
import { CRM, event } from './inbox-fixture.ts';

/** Accepts until it is killed, eight callers at once, and says on its output what was acknowledged. */
const [path = '', name = ''] = process.argv.slice(2);
const inbox = await openInbox({ path, waitingMax: 1_000_000 });
const CALLERS = 8;

async function caller(number: number): Promise<never> {
  for (let at = 0; ; at += 1) {
    const id = `${name}-${number}-${at}`;
    await inbox.accept(CRM, [event(`${id}-1`), event(`${id}-2`)]);
    writeSync(1, `${id}\n`);
    if (at % 3 === 0) {
      const [row] = await inbox.take(CRM, 0, 1);
      if (row !== undefined) {
        await inbox.settle(CRM, [row.position]);
        writeSync(1, `settled ${row.id}\n`);
      }
    }
  }
}

await Promise.all(Array.from({ length: CALLERS }, (_, number) => caller(number)));
