import { parseDurationMs } from '../../config/quantities.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { formatCount, formatInstant } from '../../rules/report.ts';
import { chosenConnections, wholeNumber } from '../chosen.ts';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { cellState, CELLS_MAX, GLYPHS, gridIntervals, type CellState } from '../grid.ts';
import { knownObjects } from '../objects.ts';
import { openLedger } from '../open.ts';
import { ago, outcomeWords } from '../words.ts';

const RUNS_MAX = 1_000;
const WINDOWS_MAX = 20_000;

export const runs: Command = {
  name: 'runs',
  summary: 'Runs that were, or a grid of object by interval',
  usage: '[connection]',
  example: 'runs salesforce --grid',
  options: {
    grid: { type: 'boolean', help: 'One line per object, one mark per interval: its receipt' },
    cells: { type: 'string', value: '<n>', help: 'Intervals of the grid; default 24' },
    every: { type: 'string', value: '<duration>', help: "Length of an interval; default the schedule's" },
    limit: { type: 'string', value: '<n>', help: 'Newest runs to show; default 20' },
  },
  arguments: { min: 0, max: 1 },
  async run(call) {
    const { config } = await call.load();
    const ledger = await openLedger(config);
    try {
      if (call.options.flag('grid')) return await printGrids(call, config, ledger);
      const limit = wholeNumber('--limit', call.options.text('limit'), { min: 1, max: RUNS_MAX, or: 20 });
      const [name] = call.arguments;
      chosenConnections(config, name);
      const found = await ledger.runs({ limit, ...(name === undefined ? {} : { connection: name }) });
      if (call.json) call.output.json(found);
      else {
        call.output.table(
          [
            { title: 'started (UTC)' },
            { title: 'connection' },
            { title: 'trigger' },
            { title: 'outcome' },
            { title: 'objects', align: 'right' },
            { title: 'rows', align: 'right' },
            { title: 'took', align: 'right' },
            { title: 'workflow' },
          ],
          found.map((run) => [
            formatInstant(run.startedAt),
            run.connection,
            run.trigger,
            run.endedAt === null ? 'running' : outcomeWords(call.output, run.outcome, run.behind),
            String(run.objects.length + run.idle),
            formatCount(run.objects.reduce((sum, line) => sum + line.rows, 0)),
            run.endedAt === null ? '–' : ago(Date.parse(run.endedAt) - Date.parse(run.startedAt)),
            run.workflowId,
          ]),
        );
      }
      return EXIT.ok;
    } finally {
      await ledger.close();
    }
  },
};

type Loaded = Awaited<ReturnType<Call['load']>>;
type OpenLedger = Awaited<ReturnType<typeof openLedger>>;

async function printGrids(call: Call, config: Loaded['config'], ledger: OpenLedger): Promise<number> {
  const cells = wholeNumber('--cells', call.options.text('cells'), { min: 1, max: CELLS_MAX, or: 24 });
  const nowMs = Date.now();
  const grids: { connection: string; intervals: string[]; objects: Record<string, CellState[]> }[] = [];
  for (const connection of chosenConnections(config, call.arguments[0])) {
    const everyMs = everyOf(call) ?? connection.schedule.everyMs;
    const intervals = gridIntervals(nowMs, everyMs, cells);
    const windows = await ledger.windows({ connection: connection.name, limit: WINDOWS_MAX });
    const newestFirst = windows.toSorted((left, right) => (left.createdAt < right.createdAt ? 1 : -1));
    const objects: Record<string, CellState[]> = {};
    for (const object of await knownObjects(connection, ledger)) {
      const own = newestFirst.filter((window) => window.object === object);
      const coverage = await ledger.coverage(connection.name, object);
      const now = new Date(nowMs).toISOString();
      objects[object] = intervals.map((interval) => cellState(interval, own, now, coverage));
    }
    grids.push({ connection: connection.name, intervals: intervals.map(({ from }) => from), objects });
  }
  if (call.json) call.output.json(grids);
  else for (const grid of grids) printGrid(call, grid);
  return EXIT.ok;
}

function printGrid(
  { output }: Call,
  grid: { connection: string; intervals: string[]; objects: Record<string, CellState[]> },
): void {
  const width = Math.max(grid.connection.length, ...Object.keys(grid.objects).map((object) => object.length));
  const [first = '', last = ''] = [grid.intervals[0], grid.intervals.at(-1)].map((from) =>
    formatInstant(from ?? ''),
  );
  output.line(`${output.style('bold', grid.connection.padEnd(width))}  ${first} → ${last} UTC`);
  for (const [object, states] of Object.entries(grid.objects)) {
    const marks = states.map((state) =>
      output.style(state === 'failed' ? 'red' : state === 'missing' ? 'gray' : 'green', GLYPHS[state]),
    );
    output.line(`${object.padEnd(width)}  ${marks.join('')}`);
  }
  const legend = Object.entries(GLYPHS).map(([state, glyph]) => `${glyph} ${state}`);
  output.line(`${' '.repeat(width)}  ${legend.join('  ')}`);
}

function everyOf(call: Call): number | undefined {
  const text = call.options.text('every');
  if (text === undefined) return undefined;
  const ms = parseDurationMs(text);
  if (ms !== undefined && ms >= 1_000) return ms;
  throw new HeadwaterError('INPUT_INVALID', `--every cannot be ${JSON.stringify(text)}`, {
    remedy: "Write for example '1h' or '15m'.",
  });
}
