/** /__sandbox: the test controls for other processes. It needs no token and binds to this machine only. */
import { ApiError, notFound } from './api-error.ts';
import type { ChangeTimes, NewField, RowRef } from './data.ts';
import type { Exchange } from '../exchange.ts';
import type { FaultAction, FaultMatch } from '../faults.ts';
import type { FieldType } from './fields.ts';
import type { Value } from './makers.ts';
import type { Behaviour, Org } from './org.ts';
import type { Living } from './living.ts';

interface ControlBody extends ChangeTimes {
  readonly object?: string;
  readonly row?: RowRef;
  readonly loser?: RowRef;
  readonly values?: Readonly<Record<string, Value>>;
  readonly field?: string;
  readonly value?: Value;
  readonly type?: FieldType;
  readonly share?: number;
  readonly beforeMs?: number;
  readonly advanceMs?: number;
  readonly setMs?: number;
  readonly steps?: number;
  readonly changesPerMinute?: number;
  readonly hidden?: boolean;
  readonly to?: string;
  readonly added?: NewField;
  readonly behaviour?: Partial<Behaviour>;
  readonly rule?: number;
  readonly match?: FaultMatch;
  readonly action?: FaultAction;
}

export async function answerControl(exchange: Exchange, org: Org, living: Living): Promise<void> {
  const name = exchange.path.slice('/__sandbox/'.length);
  if (exchange.method === 'GET') {
    await answerRead(exchange, org, name);
    return;
  }
  const body: ControlBody = JSON.parse((await exchange.text()) || '{}');
  try {
    const result = await perform(name, body, org, living);
    await exchange.sendJson(200, result ?? { ok: true });
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError(400, 'SANDBOX', error instanceof Error ? error.message : String(error));
  }
}

async function answerRead(exchange: Exchange, org: Org, name: string): Promise<void> {
  const object = exchange.params.get('object') ?? 'Contact';
  if (name === 'stats') await exchange.sendJson(200, org.stats.report());
  else if (name === 'clock')
    await exchange.sendJson(200, { nowMs: org.store.clock.now(), offsetMs: org.store.clock.offsetMs });
  else if (name === 'count') await exchange.sendJson(200, org.data.countTruth(object));
  else if (name === 'faults') await exchange.sendJson(200, org.faults.list());
  else if (name === 'truth') await exchange.stream(200, 'application/x-ndjson', truthLines(org, object));
  else throw notFound();
}

async function* truthLines(org: Org, object: string): AsyncGenerator<Buffer> {
  const LINES_PER_CHUNK = 500;
  let lines: string[] = [];
  for await (const row of org.data.truth(object)) {
    lines.push(JSON.stringify(row));
    if (lines.length === LINES_PER_CHUNK) {
      yield Buffer.from(`${lines.join('\n')}\n`);
      lines = [];
    }
  }
  if (lines.length > 0) yield Buffer.from(`${lines.join('\n')}\n`);
}

async function perform(name: string, body: ControlBody, org: Org, living: Living): Promise<unknown> {
  const { data, store, faults } = org;
  const object = body.object ?? 'Contact';
  const row = body.row ?? 0;
  switch (name) {
    case 'create':
      return { id: data.create(object, body.values ?? {}, body) };
    case 'update':
      return data.update(object, row, body.values ?? {}, body);
    case 'delete':
      return data.delete(object, row, body);
    case 'undelete':
      return data.undelete(object, row, body);
    case 'purge':
      return data.purge(object, row);
    case 'merge':
      return data.merge(object, row, body.loser ?? 0, body.values ?? {}, body);
    case 'touch':
      return { touched: data.touchMany(object, body.share ?? 0.01, body) };
    case 'raw':
      return data.setRaw(object, row, body.field ?? '', body.value ?? null, body);
    case 'forget-deletions':
      return data.forgetDeletions(object, body.beforeMs ?? store.clock.now());
    case 'prepare':
      return { bytes: await data.prepare(object) };
    case 'behaviour':
      return Object.assign(org.behaviour, body.behaviour);
    case 'clock':
      if (body.setMs !== undefined) store.clock.set(body.setMs);
      store.clock.advance(body.advanceMs ?? 0);
      store.journal.append({ clock: store.clock.offsetMs });
      store.journal.flush();
      return { nowMs: store.clock.now() };
    case 'living':
      if (body.steps !== undefined) living.run(body.steps);
      if (body.changesPerMinute !== undefined) living.start(body.changesPerMinute);
      return undefined;
    case 'expire':
      org.tokens.expireAll();
      return undefined;
    case 'expire-cursors':
      org.cursors.expireAll();
      return undefined;
    case 'expire-jobs':
      org.jobs.expireAll();
      return undefined;
    case 'reset-stats':
      return org.stats.reset();
    case 'faults':
      return {
        rule: faults.add({ match: matchOf(body.match ?? {}), action: body.action ?? { delayMs: 0 } }),
      };
    case 'clear-faults':
      if (body.rule === undefined) faults.clear();
      else faults.remove(body.rule);
      return undefined;
    default:
      return schemaChange(name, body, org);
  }
}

function schemaChange(name: string, body: ControlBody, org: Org): void {
  const { data } = org;
  const object = body.object ?? 'Contact';
  const field = body.field ?? '';
  if (name === 'add-field' && body.added !== undefined) data.addField(object, body.added);
  else if (name === 'remove-field') data.removeField(object, field);
  else if (name === 'retype-field' && body.type !== undefined) data.retypeField(object, field, body.type);
  else if (name === 'rename-field') data.renameField(object, field, body.to ?? field);
  else if (name === 'hide-object') data.hideObject(object, body.hidden ?? true);
  else if (name === 'hide-field') data.hideField(object, field, body.hidden ?? true);
  else if (name === 'bump-formula') data.bumpFormula(object, field);
  else throw notFound();
}

/** A path like "/jobs\/query/i" is a pattern when it both starts with a slash and ends with one plus flags. */
function matchOf(match: FaultMatch): FaultMatch {
  const pattern = typeof match.path === 'string' ? /^\/(.+)\/([a-z]*)$/.exec(match.path) : null;
  return pattern === null ? match : { ...match, path: new RegExp(pattern[1]!, pattern[2]) };
}
