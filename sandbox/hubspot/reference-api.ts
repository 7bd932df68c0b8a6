/** What belongs to the account and not to a record: owners, pipelines, the account itself and its usage of the API. */
import { mix } from '../seeded.ts';
import * as words from '../words.ts';
import { DEAL_STAGES, TICKET_STAGES } from './catalog.ts';
import type { Exchange } from '../exchange.ts';
import type { Hub } from './hub.ts';
import { invalid, notFound } from './hub-error.ts';
import type { Json } from './body.ts';
import type { Table } from './table.ts';
import { OWNERS, ownerIdOf } from './values.ts';

const SINCE = '2021-02-02T09:00:00.000Z';
const OWNERS_LIMIT_MAX = 500;

function ownerAt(n: number): Json {
  const firstName = words.FIRST_NAMES[mix(11, n) % words.FIRST_NAMES.length]!;
  const lastName = words.LAST_NAMES[mix(12, n) % words.LAST_NAMES.length]!;
  return {
    id: ownerIdOf(n),
    email: `owner${n}@sandbox.example`,
    type: 'PERSON',
    firstName,
    lastName,
    userId: 9_586_504 + n,
    userIdIncludingInactive: 9_586_504 + n,
    createdAt: SINCE,
    updatedAt: SINCE,
    archived: n === OWNERS - 1,
    teams: [{ id: '368389', name: 'Sales', primary: true }],
  };
}

export async function answerOwners(exchange: Exchange, id: string | undefined): Promise<void> {
  const all = Array.from({ length: OWNERS }, (_, n) => ownerAt(n));
  if (id !== undefined) {
    const found = all.find((owner) => owner['id'] === id || String(owner['userId']) === id);
    if (found === undefined) throw notFound();
    await exchange.sendJson(200, found);
    return;
  }
  const limit = Number(exchange.params.get('limit') ?? 100);
  if (!(limit >= 1 && limit <= OWNERS_LIMIT_MAX)) throw invalid(`Invalid limit: ${limit}`);
  const archived = exchange.params.get('archived') === 'true';
  const email = exchange.params.get('email');
  const after = Number(exchange.params.get('after') ?? 0);
  const wanted = all.filter(
    (owner) => owner['archived'] === archived && (email === null || owner['email'] === email),
  );
  const end = after + limit;
  const paging = end < wanted.length ? { paging: { next: { after: String(end), link: '' } } } : {};
  await exchange.sendJson(200, { results: wanted.slice(after, end), ...paging });
}

function stage(id: string, n: number, metadata: Json): Json {
  return { id, label: id, displayOrder: n, metadata, createdAt: SINCE, updatedAt: SINCE, archived: false };
}

function pipelinesOf(table: Table): readonly Json[] {
  const rest = { createdAt: SINCE, updatedAt: SINCE, archived: false, displayOrder: 0 };
  if (table.name === 'deals') {
    const stages = DEAL_STAGES.map((id, n) =>
      stage(id, n, {
        isClosed: String(id.startsWith('closed')),
        probability: (n / DEAL_STAGES.length).toFixed(1),
      }),
    );
    return [{ id: 'default', label: 'Sales Pipeline', stages, ...rest }];
  }
  if (table.name !== 'tickets') return [];
  const stages = TICKET_STAGES.map((id, n) => stage(id, n, { ticketState: n === 3 ? 'CLOSED' : 'OPEN' }));
  return [{ id: '0', label: 'Support Pipeline', stages, ...rest }];
}

export async function answerPipelines(
  exchange: Exchange,
  table: Table,
  parts: readonly string[],
): Promise<void> {
  const [id, stages, stageId] = parts;
  const all = pipelinesOf(table);
  if (id === undefined) {
    await exchange.sendJson(200, { results: all });
    return;
  }
  const found = all.find((one) => one['id'] === id);
  if (found === undefined) throw notFound();
  if (stages === undefined) {
    await exchange.sendJson(200, found);
    return;
  }
  const list: unknown = found['stages'];
  if (stages !== 'stages' || !Array.isArray(list)) throw notFound();
  const one = list.find((candidate: Json) => candidate['id'] === stageId);
  if (stageId !== undefined && one === undefined) throw notFound();
  await exchange.sendJson(200, stageId === undefined ? { results: list } : one);
}

/** /account-info/details and /account-info/api-usage/daily/private-apps, and the older path of the same usage. */
export async function answerAccount(exchange: Exchange, hub: Hub, parts: readonly string[]): Promise<void> {
  const path = parts.join('/');
  const now = hub.store.clock.now();
  const { used, resetsAtMs } = hub.limits.usage(now);
  const usage = {
    name: 'private-apps-api-calls-daily',
    usageLimit: hub.behaviour.dailyCallsMax,
    currentUsage: used,
    collectedAt: new Date(now).toISOString(),
    fetchStatus: 'SUCCESS',
    resetsAt: new Date(resetsAtMs).toISOString(),
  };
  if (path === 'details' || path === 'me') {
    await exchange.sendJson(200, {
      portalId: hub.portalId,
      accountType: 'DEVELOPER_TEST',
      timeZone: 'US/Eastern',
      companyCurrency: 'USD',
      additionalCurrencies: ['EUR'],
      utcOffset: '-05:00',
      utcOffsetMilliseconds: -18_000_000,
      uiDomain: 'app.hubspot.com',
      dataHostingLocation: 'na1',
    });
  } else if (path === 'api-usage/daily/private-apps' || path === 'api-usage/daily')
    await exchange.sendJson(200, { results: [usage] });
  else if (path === 'limit/daily') await exchange.sendJson(200, [usage]);
  else throw notFound();
}
