import { HubspotClient } from '../../../../sources/hubspot/client.ts';
import { hubspotConfigSchema, type HubspotConfigInput } from '../../../../sources/hubspot/index.ts';
import type { SourceContext } from '../../../../sources/source.ts';
import { reply, startFake, testContext, type FakeCall, type FakeServer } from '../fake-server.ts';

export const TOKEN = 'pat-na1-secret-token';
/** Tests wait for nobody's limits but those that they are about. */
export const FAST = { callsPer10s: 100_000, searchesPerSecond: 10_000 };

export interface Answer {
  status?: number;
  body: unknown;
  headers?: Record<string, string>;
}

export interface FakeAccount {
  server: FakeServer;
  client: HubspotClient;
  context: ReturnType<typeof testContext>;
  close: () => Promise<void>;
}

/** An account that answers as the test says. */
export async function fakeAccount(
  answer: (call: FakeCall) => Answer | Promise<Answer>,
  over: Partial<HubspotConfigInput> = {},
  context: Partial<SourceContext> = {},
): Promise<FakeAccount> {
  const server = await startFake(async (call, response) => {
    const { status, body, headers } = await answer(call);
    reply(response, status ?? 200, body, headers);
  });
  const config = hubspotConfigSchema.parse({
    kind: 'hubspot',
    baseUrl: server.url,
    auth: { kind: 'token', token: TOKEN },
    objects: ['contacts'],
    thresholds: FAST,
    ...over,
  });
  const made = testContext(context);
  const client = new HubspotClient(config, made);
  return {
    server,
    client,
    context: made,
    close: async () => {
      await client.close();
      await server.close();
    },
  };
}

export interface Indexed {
  id: string;
  stampMs: number;
}

interface SearchBody {
  filterGroups: { filters: { propertyName: string; operator: string; value: string }[] }[];
  sorts: { propertyName: string }[];
  limit: number;
  after?: string;
}

const HOLDS: Record<string, (value: number, bound: number) => boolean> = {
  GTE: (value, bound) => value >= bound,
  GT: (value, bound) => value > bound,
  LTE: (value, bound) => value <= bound,
  LT: (value, bound) => value < bound,
};

/** A search index as HubSpot's: one sort, ties in no order, 200 a page, an error beyond 10,000 results. */
export function searchIndex(stamp: string, rows: () => readonly Indexed[]): (call: FakeCall) => Answer {
  return (call) => {
    const body: SearchBody = JSON.parse(call.body);
    if (body.limit > 200 || Number(body.after ?? 0) + body.limit > 10_000) return { status: 400, body: {} };
    const value = (row: Indexed, name: string) => (name === stamp ? row.stampMs : Number(row.id));
    const [sort] = body.sorts;
    const found = rows()
      .filter((row) =>
        (body.filterGroups[0]?.filters ?? []).every(({ propertyName, operator, value: bound }) =>
          HOLDS[operator]?.(value(row, propertyName), Number(bound)),
        ),
      )
      .toSorted(
        (a, b) =>
          value(a, sort?.propertyName ?? stamp) - value(b, sort?.propertyName ?? stamp) ||
          (Number(b.id) % 7) - (Number(a.id) % 7),
      );
    const page = found.slice(0, body.limit).map(({ id, stampMs }) => ({
      id,
      properties: { hs_object_id: id, [stamp]: new Date(stampMs).toISOString() },
    }));
    const paging = found.length > page.length ? { paging: { next: { after: String(page.length) } } } : {};
    return { body: { total: found.length, results: page, ...paging } };
  };
}
