import { addCounts, NO_ROWS, recordsInWindow } from '../../rules/receipts.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { formatCount, formatWindow } from '../../rules/report.ts';
import type { Receipt } from '../../schemas/receipt.ts';
import type { Window } from '../../schemas/window.ts';
import type { Ledger, WindowProgress } from '../../stores/ledger/ledger.ts';
import { checkObjects, oneConnection, wholeNumber } from '../chosen.ts';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { openLedger } from '../open.ts';
import { verdictWords } from '../words.ts';

const WINDOWS_MAX = 1_000;

export const receipts: Command = {
  name: 'receipts',
  summary: 'The proof of each window, or release one that is stuck',
  usage: '[connection] [object] | accept <window>',
  example: 'receipts salesforce Contact',
  about: '`accept` releases a window whose rows nobody can explain. Its receipt stays marked for ever.',
  options: {
    limit: { type: 'string', value: '<n>', help: 'Newest windows to show; default 20' },
    reason: { type: 'string', value: '<text>', help: 'accept: why, kept in the receipt' },
  },
  arguments: { min: 0, max: 2 },
  async run(call) {
    const { config } = await call.load();
    const [first, second] = call.arguments;
    const ledger = await openLedger(config);
    try {
      if (first === 'accept') return await accept(call, ledger, second);
      const configured = oneConnection(config, first);
      const connection = configured.name;
      const limit = wholeNumber('--limit', call.options.text('limit'), { min: 1, max: WINDOWS_MAX, or: 20 });
      const found = await ledger.windows({
        connection,
        limit,
        ...(second === undefined ? {} : { object: second }),
      });
      // An object that is no longer synced may have receipts; one that never was has a mistake in its name.
      if (found.length === 0 && second !== undefined) checkObjects(configured, [second]);
      if (call.json) call.output.json(found);
      else if (found.length === 0) call.output.line(`${connection} has no windows yet.`);
      else print(call, found);
      return EXIT.ok;
    } finally {
      await ledger.close();
    }
  },
};

function print({ output }: Call, found: (Window & { receipt: Receipt | null })[]): void {
  output.table(
    [
      { title: 'object' },
      { title: 'window (UTC)' },
      { title: 'sent', align: 'right' },
      { title: 'received', align: 'right' },
      { title: 'landed', align: 'right' },
      { title: 'quarantined', align: 'right' },
      { title: 'superseded', align: 'right' },
      { title: 'source counts', align: 'right' },
      { title: 'receipt' },
      { title: 'window' },
    ],
    found.map(({ id, object, from, until, state, receipt }) => {
      const counts = receipt?.transport;
      return [
        object,
        formatWindow(from, until),
        number(counts?.sent),
        number(counts?.received),
        number(counts?.shaped),
        number(counts?.quarantined),
        number(counts?.superseded),
        receipt === null ? '–' : `${number(receipt.source.before)} / ${number(receipt.source.after)}`,
        receipt === null ? (state === 'open' ? '… open' : state) : verdictWords(receipt.verdict),
        id,
      ];
    }),
  );
}

/** I7: an accepted window is never called proven; the operator's reason stays in its receipt. */
async function accept(call: Call, ledger: Ledger, window: string | undefined): Promise<number> {
  const reason = call.options.text('reason');
  if (window === undefined || reason === undefined) {
    throw new HeadwaterError('INPUT_INVALID', 'accepting a receipt needs the window and a reason', {
      remedy: 'Write `npx headwater receipts accept <window> --reason "why"`.',
    });
  }
  const progress = await ledger.progress(window).catch((cause: unknown) => {
    throw new HeadwaterError('INPUT_INVALID', `there is no window ${window} with rows`, {
      cause,
      remedy: 'The last column of `npx headwater receipts` names them.',
    });
  });
  const receipt = acceptedReceipt(progress, reason, new Date().toISOString());
  await ledger.commitSource(window, progress.window.attempt, receipt);
  if (call.json) call.output.json(receipt);
  else {
    const { connection, object } = receipt;
    call.output.line(
      `Accepted ${object} ${formatWindow(receipt.from, receipt.until)}. Land it with \`npx headwater sync ${connection} ${object}\`.`,
    );
  }
  return EXIT.ok;
}

/** Pure: the receipt of a window whose rows are all staged but do not add up with the source's count. */
export function acceptedReceipt(progress: WindowProgress, reason: string, at: string): Receipt {
  const { window, countBefore, slices } = progress;
  if (window.state !== 'open') {
    throw new HeadwaterError('INPUT_INVALID', `window ${window.id} is ${window.state}, not stuck`);
  }
  const batches = slices.map(({ batch }) => batch);
  if (batches.length === 0 || batches.includes(null)) {
    throw new HeadwaterError('INPUT_INVALID', `window ${window.id} is not read to its end`, {
      remedy: `Run \`npx headwater retry ${window.connection} ${window.object}\` first.`,
    });
  }
  const transport = batches.reduce(
    (sum, batch) => (batch === null ? sum : addCounts(sum, batch.counts)),
    NO_ROWS,
  );
  const unexplained = countBefore === null ? 0 : Math.abs(countBefore - recordsInWindow(transport));
  return {
    window: window.id,
    connection: window.connection,
    object: window.object,
    from: window.from,
    until: window.until,
    transport,
    source: { before: countBefore, after: null, moved: 0, late: 0, unexplained },
    destination: null,
    verdict: 'accepted',
    reason,
    at,
  };
}

function number(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : formatCount(value);
}
