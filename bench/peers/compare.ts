/** Other tools beside the product: the same 200,000 Contacts from the same server, in the same run. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { assertSame } from '../contact.ts';
import { summarize, type Figure } from '../figures.ts';
import { loadOnce, measureLimit, warmUp, type Limit } from '../first-load.ts';
import { Calm } from '../machine.ts';
import type { BenchOptions } from '../options.ts';
import { withStand, type Stand } from '../stand.ts';
import { dlt } from './dlt.ts';
import { ingestr } from './ingestr.ts';
import type { Peer } from './peer.ts';
import { sling } from './sling.ts';

const ROWS = 200_000;
const TIMES_FASTER = { connector: 10, loader: 3 } as const;
/** A peer that takes longer than this is run once: its repetitions would tell nothing more. */
const SLOW_MS = 20_000;

interface PeerResult {
  peer: Peer;
  values: number[];
  error?: string;
}

async function measurePeer(
  peer: Peer,
  stand: Stand,
  wanted: Limit,
  options: BenchOptions,
  calm: Calm,
): Promise<PeerResult> {
  const values: number[] = [];
  try {
    await peer.prepare();
    for (let run = 0; run < options.runs; run += 1) {
      const folder = join(stand.root, `peer-${run}`);
      mkdirSync(folder, { recursive: true });
      try {
        await calm.wait();
        const { ms, landed, exact } = await peer.load(stand, folder);
        assertSame(peer.name, landed, exact ? wanted : wanted.inexact);
        values.push(ms / 1000);
        options.progress(`${peer.name}: ${Math.round(ms)} ms`);
        if (ms > SLOW_MS) break;
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    }
    return { peer, values };
  } catch (error) {
    const message = (error instanceof Error ? error.message : String(error))
      .replaceAll(/\s+/g, ' ')
      .slice(0, 300);
    options.progress(`${peer.name}: ${message}`);
    return { peer, values, error: message };
  }
}

export async function peers(options: BenchOptions): Promise<Figure[]> {
  const calm = new Calm(options.calmMs);
  return withStand({ Contact: ROWS }, async (stand) => {
    const types = await warmUp(stand, options);
    const folder = join(stand.root, 'raw');
    const wanted = await measureLimit(stand, options, folder, types);
    rmSync(folder, { recursive: true, force: true });
    const ours: number[] = [];
    for (let run = 0; run < options.runs; run += 1) {
      await calm.wait();
      ours.push((await loadOnce(stand, options, wanted)).ms / 1000);
    }
    const results: PeerResult[] = [];
    for (const peer of [sling(ROWS), ingestr(), dlt()]) {
      results.push(await measurePeer(peer, stand, wanted, options, calm));
    }
    const own: Figure = {
      name: 'Headwater, first load of 200,000 Contacts',
      unit: 's',
      values: ours,
      note: calm.label(),
    };
    return [own, ...results.map(figureOf), ...ratios(ours, results)];
  });
}

function figureOf({ peer, values, error }: PeerResult): Figure {
  const known = peer.knownS === null ? '' : `known from elsewhere: ${peer.knownS} s`;
  const figure: Figure = { name: peer.name, unit: 's', values, note: known };
  return error === undefined ? figure : { ...figure, error: `${error} (${known})` };
}

/** Against the fastest of each kind that ran here. */
function ratios(ours: readonly number[], results: readonly PeerResult[]): Figure[] {
  const own = summarize(ours).median;
  return (['connector', 'loader'] as const).map((kind) => {
    const ran = results.filter(({ peer, values }) => peer.kind === kind && values.length > 0);
    const times = ran.map(({ values }) => summarize(values).median / own);
    const fastest = times.length === 0 ? [] : [Math.min(...times)];
    const target = { min: TIMES_FASTER[kind] };
    return { name: `faster than the fastest ${kind} that ran`, unit: '×', values: fastest, target };
  });
}
