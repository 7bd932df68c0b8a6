/** Messages of a real broker: in the inbox once, whatever ends in between, or set aside with the reason. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { connect, type ChannelModel, type ConfirmChannel } from 'amqplib';
import { loadConfig } from '../../config/load-config.ts';
import { deadQueueOf, type ReaderTimes } from '../../servers/queue/reader.ts';
import { readQueues } from '../../servers/queue/queues.ts';
import { openServices, type OpenServices } from '../../servers/services.ts';
import { receiversOf } from '../../servers/webhooks/receivers.ts';
import type { Inbox, InboxRow } from '../../stores/inbox/inbox.ts';
import { openInbox } from '../../stores/inbox/open.ts';
import { findRabbit, startRabbit, type TestRabbit } from '../support/rabbitmq.ts';
import { serverHome } from '../support/server-process.ts';

const found = findRabbit();
if (typeof found === 'string') process.stderr.write(`SKIPPED: queues of a broker, ${found}\n`);
const START_MS_MAX = 60_000;
const QUEUE = 'orders';
const TIMES: ReaderTimes = { holdMs: 20, backoffMsMax: 200 };

const order = {
  key: 'id',
  stamp: 'updated',
  fields: { id: 'string', updated: 'timestamp', total: 'integer' },
};
const env = (name: string) => ({ $secret: { env: name } });
const configuration = (prefetch: number) => ({
  connections: { shop: { kind: 'push', objects: 'all', records: { order }, webhooks: {} } },
  warehouse: { kind: 'duckdb', path: 'w.duckdb' },
  serve: {
    webhooks: { port: 0 },
    queues: { orders: { url: env('BROKER'), queue: QUEUE, connection: 'shop', object: 'order', prefetch } },
  },
});
const record = (id: string, more: object = {}) => ({
  id,
  updated: '2026-11-21T08:00:00Z',
  total: 7,
  ...more,
});

let rabbit: TestRabbit;
let home: string;
let services: OpenServices;
let connection: ChannelModel;
let channel: ConfirmChannel;
let reading: { close(): Promise<void> } | undefined;

const suite = typeof found === 'string' ? describe.skip : describe;

suite('queues of a broker', () => {
  beforeAll(async () => {
    if (typeof found === 'string') return;
    rabbit = await startRabbit(found);
    process.env['BROKER'] = rabbit.url;
  }, START_MS_MAX);
  afterAll(async () => await rabbit.stop());

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'headwater-queue-'));
    const path = join(home, 'headwater.config.json');
    await writeFile(path, JSON.stringify(configuration(50)));
    services = await openServices(await loadConfig({ path, home }), { log: () => undefined });
    await open();
    for (const queue of [QUEUE, deadQueueOf(QUEUE)]) await channel.deleteQueue(queue);
    await channel.assertQueue(QUEUE, { durable: true });
  });
  afterEach(async () => {
    await reading?.close();
    reading = undefined;
    await connection.close().catch(() => undefined);
    await services.close();
    await rm(home, { recursive: true, force: true });
  });

  async function open(): Promise<void> {
    connection = await connect(rabbit.url);
    connection.on('error', () => undefined);
    channel = await connection.createConfirmChannel();
    channel.on('error', () => undefined);
  }

  function read(inbox?: Inbox): void {
    const given = inbox === undefined ? services : { ...services, inbox };
    reading = readQueues(given, receiversOf(services), TIMES);
  }

  async function send(body: unknown, options: object = {}): Promise<void> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    channel.sendToQueue(QUEUE, Buffer.from(text), { persistent: true, ...options });
    await channel.waitForConfirms();
  }

  const kept = async (): Promise<InboxRow[]> => await services.inbox.take('shop', 0, 10_000);
  const records = async (): Promise<string[]> => (await kept()).map((row) => row.record).toSorted();
  /** Of messages that nobody has: those that are read and not acknowledged do not count. */
  const waiting = async (queue: string) => (await channel.checkQueue(queue)).messageCount;

  async function until(wanted: () => Promise<boolean>): Promise<void> {
    const end = performance.now() + 15_000;
    while (!(await wanted())) {
      if (performance.now() > end) throw new Error(`not in time; kept: ${(await records()).join(' ')}`);
      await sleep(20);
    }
  }

  test('one record, and a list of them: in the inbox, and gone from the queue', async () => {
    read();
    await send(record('a'));
    await send([record('b'), record('c')], { contentType: 'application/json' });
    await until(async () => (await kept()).length === 3);
    expect(await records()).toEqual(['a', 'b', 'c']);
    expect((await kept()).map(({ kind, object }) => [kind, object])).toEqual(
      Array.from({ length: 3 }, () => ['row', 'order']),
    );
    await reading?.close();
    reading = undefined;
    expect(await waiting(QUEUE)).toBe(0);
  });

  test('I2: a message that comes again is the same events', async () => {
    read();
    for (let time = 0; time < 3; time += 1) await send([record('a'), record('b')], { messageId: 'm-1' });
    await send(record('end'));
    await until(async () => (await records()).includes('end'));
    await sleep(100);
    expect(await records()).toEqual(['a', 'b', 'end']);
  });

  test('I2: what cannot be taken is set aside with the reason, and nothing of it is lost', async () => {
    read();
    await send('no json at all', { messageId: 'm-1' });
    await send([record('good'), record('bad', { total: 'many' }), record('fine')]);
    await send(record('worse', { updated: 'yesterday' }), { headers: { tenant: 'x' } });
    await until(async () => (await kept()).length === 2 && (await waiting(deadQueueOf(QUEUE))) === 3);
    expect(await records()).toEqual(['fine', 'good']);
    const dead: { text: string; messageId?: unknown; headers?: Record<string, unknown> | undefined }[] = [];
    for (let index = 0; index < 3; index += 1) {
      const message = await channel.get(deadQueueOf(QUEUE), { noAck: true });
      if (message === false) throw new Error('no message');
      dead.push({ text: message.content.toString(), ...message.properties });
    }
    const by = (reason: string) => dead.find(({ headers }) => headers?.['x-headwater-reason'] === reason);
    expect(by('The body is neither JSON nor one JSON object per line.')).toMatchObject({
      text: 'no json at all',
      messageId: 'm-1',
    });
    expect(by('total is no integer')).toMatchObject({
      text: JSON.stringify([record('bad', { total: 'many' })]),
      headers: { 'x-headwater-refused': 1, 'x-headwater-queue': QUEUE },
    });
    expect(by('updated is no timestamp')).toMatchObject({ headers: { tenant: 'x' } });
    expect(await waiting(QUEUE)).toBe(0);
  });

  test('with a full inbox no more is read than may be held, and all of it arrives when there is room', async () => {
    const inbox = await openInbox({ path: join(home, 'small.db'), waitingMax: 20 });
    try {
      read(inbox);
      for (let index = 0; index < 200; index += 1)
        channel.sendToQueue(QUEUE, Buffer.from(JSON.stringify(record(`r${index}`))), { persistent: true });
      await channel.waitForConfirms();
      const seen = new Set<string>();
      await until(async () => (await inbox.take('shop', 0, 1_000)).length === 20);
      await sleep(300);
      // 20 are kept, 50 are held: the rest is the broker's.
      expect(await waiting(QUEUE)).toBe(130);
      await until(async () => {
        const rows = await inbox.take('shop', 0, 1_000);
        expect(rows.length).toBeLessThanOrEqual(20);
        for (const row of rows) seen.add(row.record);
        await inbox.settle(
          'shop',
          rows.map(({ position }) => position),
        );
        return seen.size === 200;
      });
      await reading?.close();
      reading = undefined;
      expect(await waiting(QUEUE)).toBe(0);
    } finally {
      await inbox.close();
    }
  });

  test(
    'I2: the broker killed and back: every record once',
    async () => {
      // Slow enough that messages are always under way.
      const accept: Inbox['accept'] = async (name, events) => {
        await sleep(5);
        return await services.inbox.accept(name, events);
      };
      const inbox: Inbox = new Proxy(services.inbox, {
        get: (target, name) =>
          name === 'accept' ? accept : Reflect.get(target, name, target)?.bind?.(target),
      });
      for (let index = 0; index < 600; index += 1)
        channel.sendToQueue(QUEUE, Buffer.from(JSON.stringify(record(`r${index}`))), { persistent: true });
      await channel.waitForConfirms();
      read(inbox);
      await until(async () => (await kept()).length > 50);
      await rabbit.kill();
      await rabbit.restart();
      await until(async () => (await kept()).length === 600);
      await open();
      await send(record('after'));
      await until(async () => (await records()).includes('after'));
      await reading?.close();
      reading = undefined;
      expect((await kept()).length).toBe(601);
      expect(await waiting(QUEUE)).toBe(0);
    },
    START_MS_MAX,
  );

  test(
    'I2: the process killed while it reads: the next one brings the rest, and nothing twice',
    async () => {
      const server = await serverHome(
        configuration(20),
        { BROKER: rabbit.url, TEMPORAL_ADDRESS: '127.0.0.1:1' },
        ['--queues'],
      );
      const count = async () => {
        const inbox = await openInbox({ path: join(server.path, 'inbox.db'), waitingMax: 1, existing: true });
        const rows = await inbox.take('shop', 0, 10_000);
        await inbox.close();
        return rows.length;
      };
      try {
        for (let index = 0; index < 2_000; index += 1)
          channel.sendToQueue(QUEUE, Buffer.from(JSON.stringify(record(`r${index}`))), { persistent: true });
        await channel.waitForConfirms();
        const first = await server.start();
        await until(async () => (await waiting(QUEUE)) < 1_900);
        first.signal('SIGKILL');
        await first.ended;
        const after = await count();
        expect(after).toBeGreaterThan(0);
        expect(after).toBeLessThan(2_000);
        const second = await server.start();
        await until(async () => (await waiting(QUEUE)) === 0 && (await count()) === 2_000);
        second.signal('SIGTERM');
        expect(await second.ended).toBe('0');
        expect(await waiting(QUEUE)).toBe(0);
      } finally {
        await server.remove();
      }
    },
    START_MS_MAX,
  );
});
