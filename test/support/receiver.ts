/** Whoever is told: a real HTTP server that answers as it is told and remembers what it was sent. */
import { createServer, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Webhook } from 'standardwebhooks';
import { notificationSchema, type Notification } from '../../schemas/notification.ts';
import { patient } from './patience.ts';

export const SIGNING_SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

export interface Received extends Notification {
  id: string;
}

export interface TestReceiver {
  readonly url: string;
  /** Every message whose signature is right, in the order of arrival. */
  readonly received: Received[];
  readonly forged: number;
  /** The most that were under way at once. */
  readonly atOnceMax: number;
  /** Default: 204 at once. */
  answer: (message: Received, response: ServerResponse) => void | Promise<void>;
  until(wanted: (received: readonly Received[]) => boolean, msMax?: number): Promise<void>;
  close(): Promise<void>;
}

export async function startReceiver(): Promise<TestReceiver> {
  const received: Received[] = [];
  let [forged, atOnce, atOnceMax] = [0, 0, 0];
  let answer: TestReceiver['answer'] = (_message, response) => void response.writeHead(204).end();
  const webhook = new Webhook(SIGNING_SECRET);
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (part: string) => (body += part));
    request.on('end', () => {
      const headers = Object.fromEntries(Object.entries(request.headers).map(([k, v]) => [k, String(v)]));
      try {
        const notice = notificationSchema.strict().parse(webhook.verify(body, headers));
        const message = { ...notice, id: headers['webhook-id'] ?? '' };
        received.push(message);
        atOnce += 1;
        atOnceMax = Math.max(atOnceMax, atOnce);
        response.on('close', () => (atOnce -= 1));
        void answer(message, response);
      } catch {
        forged += 1;
        response.writeHead(401).end();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}/changes`,
    received,
    get forged() {
      return forged;
    },
    get atOnceMax() {
      return atOnceMax;
    },
    get answer() {
      return answer;
    },
    set answer(next) {
      answer = next;
    },
    async until(wanted, msMax = patient(15_000)) {
      const end = performance.now() + msMax;
      while (!wanted(received)) {
        if (performance.now() > end)
          throw new Error(`not in time; received: ${JSON.stringify(received).slice(0, 2_000)}`);
        await sleep(10);
      }
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
