/** /__sandbox: the test controls for other processes. It needs no token and binds to this machine only. README.md lists them. */
import { isObject, type Json } from './body.ts';
import type { ChangeTimes, RowRef } from './data.ts';
import type { Exchange } from '../salesforce/exchange.ts';
import type { FaultAction, FaultMatch } from '../salesforce/faults.ts';
import type { Behaviour, Hub } from './hub.ts';
import { HubError, notFound } from './hub-error.ts';
import type { Living } from './living.ts';
import type { PropertyType, Value } from './property.ts';

interface ControlBody extends ChangeTimes {
  readonly object?: string;
  readonly row?: RowRef;
  readonly other?: RowRef;
  readonly to?: string;
  readonly typeIds?: readonly number[];
  readonly values?: Readonly<Record<string, Value>>;
  readonly share?: number;
  readonly advanceMs?: number;
  readonly setMs?: number;
  readonly steps?: number;
  readonly changesPerMinute?: number;
  readonly name?: string;
  readonly type?: PropertyType;
  readonly filled?: boolean;
  readonly archived?: boolean;
  readonly redirectUri?: string;
  readonly behaviour?: Partial<Behaviour>;
  readonly rule?: number;
  readonly match?: FaultMatch;
  readonly action?: FaultAction;
}

const LINES_PER_CHUNK = 500;

export async function answerControl(exchange: Exchange, hub: Hub, living: Living): Promise<void> {
  const name = exchange.path.slice('/__sandbox/'.length);
  if (exchange.method === 'GET') {
    await answerRead(exchange, hub, name);
    return;
  }
  const body: ControlBody = JSON.parse((await exchange.text()) || '{}');
  try {
    const result = perform(name, body, hub, living);
    await exchange.sendJson(200, result ?? { ok: true });
  } catch (error) {
    if (error instanceof HubError) throw error;
    throw new HubError(400, 'SANDBOX', error instanceof Error ? error.message : String(error));
  }
}

async function answerRead(exchange: Exchange, hub: Hub, name: string): Promise<void> {
  const object = exchange.params.get('object') ?? 'contacts';
  const { clock } = hub.store;
  hub.store.settle();
  if (name === 'stats') {
    const calls = Object.fromEntries(hub.stats);
    await exchange.sendJson(200, { dailyCalls: hub.limits.daily, calls, waiting: hub.store.waitingCount() });
  } else if (name === 'clock') await exchange.sendJson(200, { nowMs: clock.now(), offsetMs: clock.offsetMs });
  else if (name === 'count') await exchange.sendJson(200, hub.data.count(object));
  else if (name === 'faults') await exchange.sendJson(200, hub.faults.list());
  else if (name === 'truth') await exchange.stream(200, 'application/x-ndjson', truthLines(hub, object));
  else throw notFound();
}

async function* truthLines(hub: Hub, object: string): AsyncGenerator<Buffer> {
  let lines: string[] = [];
  for await (const row of hub.data.truth(object)) {
    lines.push(JSON.stringify(row));
    if (lines.length < LINES_PER_CHUNK) continue;
    yield Buffer.from(`${lines.join('\n')}\n`);
    lines = [];
  }
  if (lines.length > 0) yield Buffer.from(`${lines.join('\n')}\n`);
}

function perform(name: string, body: ControlBody, hub: Hub, living: Living): Json | undefined {
  const { data } = hub;
  const object = body.object ?? 'contacts';
  const row = body.row ?? 0;
  switch (name) {
    case 'create':
      return { id: data.create(object, body.values ?? {}, body) };
    case 'update':
      return nothing(data.update(object, row, body.values ?? {}, body));
    case 'archive':
      return nothing(data.archive(object, row, body));
    case 'restore':
      return nothing(data.restore(object, row, body));
    case 'purge':
      return nothing(data.purge(object, row, body));
    case 'merge':
      return { id: data.merge(object, row, body.other ?? 1, body) };
    case 'associate':
      return nothing(data.associate(object, row, body.to ?? 'companies', body.other ?? 0, body.typeIds));
    case 'dissociate':
      return nothing(data.dissociate(object, row, body.to ?? 'companies', body.other ?? 0));
    case 'touch':
      return { touched: data.touchMany(object, body.share ?? 0.01, body) };
    case 'add-property':
      return nothing(data.addProperty(object, body.name ?? 'added', body.type ?? 'string', body.filled));
    case 'archive-property':
      return nothing(data.setPropertyArchived(object, body.name ?? '', body.archived ?? true));
    default:
      return performOnAccount(name, body, hub, living);
  }
}

const nothing = (_: void): undefined => undefined;

function performOnAccount(name: string, body: ControlBody, hub: Hub, living: Living): Json | undefined {
  const { store, tokens, faults } = hub;
  switch (name) {
    case 'behaviour':
      return { ...Object.assign(hub.behaviour, body.behaviour) };
    case 'clock':
      if (body.setMs !== undefined) store.clock.set(body.setMs);
      store.clock.advance(body.advanceMs ?? 0);
      hub.onClock(store.clock.offsetMs);
      return { nowMs: store.clock.now() };
    case 'living':
      if (body.steps !== undefined) living.run(body.steps);
      if (body.changesPerMinute !== undefined) living.start(body.changesPerMinute);
      return undefined;
    case 'expire':
      return nothing(tokens.expireAll());
    case 'revoke':
      return nothing(tokens.revokeAll());
    case 'authorization-code':
      return { code: tokens.issueCode(body.redirectUri ?? 'http://127.0.0.1/callback') };
    case 'reset-stats':
      hub.stats.clear();
      return nothing(hub.limits.reset());
    case 'faults':
      if (!isObject(body.action)) throw new Error('a fault needs an action');
      return { rule: faults.add({ match: matchOf(body.match ?? {}), action: body.action }) };
    case 'clear-faults':
      return nothing(body.rule === undefined ? faults.clear() : faults.remove(body.rule));
    default:
      throw notFound();
  }
}

/** A path like "/batch\/read/i" is a pattern when it both starts with a slash and ends with one plus flags. */
function matchOf(match: FaultMatch): FaultMatch {
  const pattern = typeof match.path === 'string' ? /^\/(.+)\/([a-z]*)$/.exec(match.path) : null;
  return pattern === null ? match : { ...match, path: new RegExp(pattern[1]!, pattern[2]) };
}
