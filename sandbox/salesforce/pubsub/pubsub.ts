/** The Pub/Sub API of the sandbox: a change event of every change, kept for 72 hours by the org's clock. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server, ServerCredentials, status, type Metadata, type sendUnaryData } from '@grpc/grpc-js';
import type { Value } from '../makers.ts';
import type { Org } from '../org.ts';
import type { Change } from '../store.ts';
import type { Table } from '../table.ts';
import { ORG_ID } from '../tokens.ts';
import {
  bitmapOf,
  eventNameOf,
  payloadOf,
  schemaOf,
  type ChangeHeader,
  type ChangeType,
  type EventSchema,
} from './change-events.ts';
import { ALL, EventBus } from './event-bus.ts';
import { pubSubDefinition } from './interface.ts';
import { refusal, Subscription, type PubSubBehaviour, type SubscribeCall } from './subscription.ts';

export interface PubSubOptions extends Partial<PubSubBehaviour> {
  readonly port?: number;
  /** PEM; without them the port is plain. */
  readonly tls?: { readonly key: string; readonly cert: string };
}

const DRAIN_MS_MAX = 300;

const TYPES: Partial<Record<Change['kind'], ChangeType>> = {
  create: 'CREATE',
  update: 'UPDATE',
  delete: 'DELETE',
  undelete: 'UNDELETE',
};

export interface PubSubSandbox {
  readonly url: string;
  readonly behaviour: PubSubBehaviour;
  /** Calls of Subscribe that go on. */
  subscribers(): number;
  /** Events that were sent, each as often as it was. */
  sent(): number;
  /** An event as it is given, such as a gap; what is left out of the header is made up. */
  publish(object: string, header: Partial<ChangeHeader>, values?: Readonly<Record<string, Value>>): string;
  /** Bytes that fit no schema. */
  publishRaw(object: string, payload: Buffer, schemaId?: string): void;
  /** Ends every subscription with this status, UNAVAILABLE by default. */
  cut(code?: number): void;
  tell(table: Table, change: Change): void;
  close(): Promise<void>;
}

export async function startPubSub(org: Org, orgUrl: string, options: PubSubOptions): Promise<PubSubSandbox> {
  const { port = 0, tls, ...given } = options;
  const behaviour: PubSubBehaviour = {
    ...{ keepaliveMs: 270_000, batchMax: 100, ignoresRequests: false, silent: false },
    ...given,
  };
  const events = new Events(org);
  const subscriptions = new Set<Subscription>();
  const parts = {
    bus: events.bus,
    tally: { sent: 0 },
    behaviour,
    hasTopic: (name: string) => events.tableOf(name) !== undefined || name === ALL,
    isAuthorized: (metadata: Metadata) => isAuthorized(org, orgUrl, metadata),
  };
  const server = new Server();
  server.addService(pubSubDefinition(), {
    GetTopic: unary(parts.isAuthorized, ({ topicName }) => {
      if (topicName === undefined || !parts.hasTopic(topicName)) return undefined;
      const schemaId = events.schemaIdOf(topicName);
      return { topicName, tenantGuid: ORG_ID, canPublish: false, canSubscribe: true, schemaId };
    }),
    GetSchema: unary(parts.isAuthorized, ({ schemaId = '' }) => {
      const schemaJson = events.schemaJson(schemaId);
      return schemaJson === undefined ? undefined : { schemaJson, schemaId };
    }),
    Subscribe: (call: SubscribeCall) => {
      const subscription = new Subscription(call, parts, () => subscriptions.delete(subscription));
      subscriptions.add(subscription);
    },
  });
  const credentials =
    tls === undefined
      ? ServerCredentials.createInsecure()
      : ServerCredentials.createSsl(null, [
          { private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) },
        ]);
  const bound = await listen(server, port, credentials);
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${bound}`,
    behaviour,
    subscribers: () => subscriptions.size,
    sent: () => parts.tally.sent,
    publish: (object, header, values = {}) => events.publish(object, header, values),
    publishRaw: (object, payload, schemaId) => events.publishRaw(object, payload, schemaId),
    cut: (code = status.UNAVAILABLE) => {
      for (const one of subscriptions) one.fail(refusal(code, 'service.unavailable', 'cut by the test'));
    },
    tell: (table, change) => events.tell(table, change),
    close: async () => {
      for (const one of subscriptions)
        one.fail(refusal(status.UNAVAILABLE, 'service.unavailable', 'closing'));
      // Who listens is told before the connection goes.
      const drained = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      await Promise.race([drained, sleep(DRAIN_MS_MAX, undefined, { ref: false })]);
      server.forceShutdown();
    },
  };
}

/** What changes become, and which schemas they had. */
class Events {
  readonly bus: EventBus;
  readonly #org: Org;
  readonly #schemas = new Map<string, EventSchema>();
  readonly #current = new Map<string, { version: number; schema: EventSchema }>();

  constructor(org: Org) {
    this.#org = org;
    this.bus = new EventBus(() => org.store.clock.now());
  }

  tableOf(topic: string): Table | undefined {
    return this.#org.store.visibleTables().find(({ name }) => `/data/${eventNameOf(name)}` === topic);
  }

  schemaIdOf(topic: string): string {
    const table = this.tableOf(topic);
    return table === undefined ? '' : this.#schema(table).id;
  }

  schemaJson(id: string): string | undefined {
    return this.#schemas.get(id)?.json;
  }

  tell(table: Table, { kind, index, values, at }: Change): void {
    const changeType = TYPES[kind];
    // Emptying the recycle bin is told to nobody.
    if (changeType === undefined) return;
    const header = { recordIds: [table.idOf(index)], changeType, commitTimestamp: at };
    this.publish(table.name, { ...header, changeOrigin: this.#org.store.origin }, values);
  }

  publish(object: string, given: Partial<ChangeHeader>, values: Readonly<Record<string, Value>>): string {
    const table = this.#org.store.table(object);
    const schema = this.#schema(table);
    const isUpdate = (given.changeType ?? 'UPDATE') === 'UPDATE';
    const names = Object.keys(values);
    const header: ChangeHeader = {
      entityName: table.name,
      recordIds: [],
      changeType: 'UPDATE',
      changeOrigin: '',
      transactionKey: randomUUID(),
      sequenceNumber: 1,
      commitTimestamp: this.#org.store.clock.now(),
      commitNumber: Number(this.bus.last % 1_000_000_000_000n),
      commitUser: this.#org.userId,
      nulledFields: bitmapOf(
        schema,
        names.filter((name) => values[name] === null),
      ),
      diffFields: [],
      changedFields: isUpdate ? bitmapOf(schema, names) : [],
      ...given,
    };
    const id = randomUUID();
    const payload = payloadOf(schema, header, values);
    this.bus.publish({ topic: `/data/${eventNameOf(table.name)}`, id, schemaId: schema.id, payload });
    return id;
  }

  publishRaw(object: string, payload: Buffer, schemaId?: string): void {
    const table = this.#org.store.table(object);
    const topic = `/data/${eventNameOf(table.name)}`;
    this.bus.publish({ topic, id: randomUUID(), schemaId: schemaId ?? this.#schema(table).id, payload });
  }

  #schema(table: Table): EventSchema {
    const known = this.#current.get(table.name);
    if (known?.version === table.schemaVersion) return known.schema;
    const schema = schemaOf(table);
    this.#current.set(table.name, { version: table.schemaVersion, schema });
    this.#schemas.set(schema.id, schema);
    return schema;
  }
}

type Request = Readonly<{ topicName?: string; schemaId?: string }>;

function unary(
  isAllowed: (metadata: Metadata) => boolean,
  answer: (request: Request) => object | undefined,
): (call: { metadata: Metadata; request: Request }, callback: sendUnaryData<object>) => void {
  return ({ metadata, request }, callback) => {
    const found = answer(request);
    if (!isAllowed(metadata))
      callback(refusal(status.UNAUTHENTICATED, 'service.auth.error', 'authentication failed'));
    else if (found === undefined) callback(refusal(status.NOT_FOUND, 'topic.not.found', 'there is none'));
    else callback(null, { ...found, rpcId: 'sandbox' });
  };
}

function isAuthorized(org: Org, orgUrl: string, metadata: Metadata): boolean {
  const read = (name: string) => String(metadata.get(name)[0] ?? '');
  const isOrg = read('tenantid').slice(0, 15) === ORG_ID.slice(0, 15);
  return isOrg && read('instanceurl') === orgUrl && org.tokens.isValid(read('accesstoken'), 'access');
}

async function listen(server: Server, port: number, credentials: ServerCredentials): Promise<number> {
  return await new Promise((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
}
