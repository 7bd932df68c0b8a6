import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Interest } from '../../rules/notice.ts';
import { concerns } from '../../rules/notice.ts';
import type { OutboxRow } from '../../stores/claims/claims.ts';
import { maySee, type Sight } from '../profiles/mask.ts';
import type { Listener, Tail } from './tail.ts';
import { heard, type Told } from './told.ts';

/** What waits for a client that reads slowly; with more nothing is written until it has read that. */
const BUFFER_BYTES_MAX = 1_048_576;
const HEARTBEAT_MS = 15_000;
/** One that reads nothing for so long is dropped, and comes back with the id of what it had. */
const DRAIN_MS_MAX = 30_000;
/** A client is told to come back after this. */
const RETRY_MS = 1_000;

export interface StreamLimits {
  bufferBytesMax?: number;
  heartbeatMs?: number;
  drainMsMax?: number;
}

/** One client's server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html. */
export class EventStream implements Listener {
  readonly #out: ServerResponse;
  readonly #tail: Tail;
  readonly #interest: Interest;
  readonly #sight: Sight;
  readonly #bufferBytesMax: number;
  readonly #drainMsMax: number;
  readonly #beat: NodeJS.Timeout;
  /** Everything up to here has been written, or does not concern this client. */
  #position: number;
  #live = false;

  constructor(
    out: ServerResponse,
    tail: Tail,
    asked: { interest: Interest; sight: Sight; position: number },
    limits: StreamLimits = {},
  ) {
    this.#out = out;
    this.#tail = tail;
    this.#interest = asked.interest;
    this.#sight = asked.sight;
    this.#position = asked.position;
    this.#bufferBytesMax = limits.bufferBytesMax ?? BUFFER_BYTES_MAX;
    this.#drainMsMax = limits.drainMsMax ?? DRAIN_MS_MAX;
    this.#beat = setInterval(() => this.#heartbeat(), limits.heartbeatMs ?? HEARTBEAT_MS);
    out.on('close', () => this.#gone());
    out.on('error', () => undefined);
  }

  /** An id without an event: a client that hears nothing for long still knows where to go on. */
  begin(isReset: boolean): void {
    this.#write(`retry: ${RETRY_MS}\n`);
    if (isReset) this.#write(`id: ${this.#position}\nevent: reset\ndata: {}\n\n`);
    else this.#write(`id: ${this.#position}\n\n`);
  }

  /** Reads what was missed, at the client's own speed, until it stands where the others do. Ends with the client. */
  async run(): Promise<void> {
    while (!this.#out.destroyed && !this.#tail.join(this, this.#position)) {
      const ahead = this.#tail.position ?? 0;
      const { told, last } = await this.#tail.page(this.#position, (row) => this.wants(row));
      for (const one of told) await this.#patiently(one);
      // Without a row nothing is left up to where the others stood.
      this.#position = Math.max(this.#position, last ?? ahead);
    }
    this.#live = true;
    if (this.#out.destroyed) this.#gone();
  }

  end(): void {
    this.#out.end();
    this.#gone();
  }

  wants(row: OutboxRow): boolean {
    return row.position > this.#position && maySee(this.#sight, row.entity) && concerns(this.#interest, row);
  }

  hear(told: Told): void {
    if (told.position <= this.#position) return;
    this.#tell(told);
    if (this.#out.writableLength <= this.#bufferBytesMax) return;
    // The others go on without it; it reads what it misses at its own speed.
    this.#tail.leave(this);
    this.#live = false;
    this.#drained()
      .then(async () => await this.run())
      .catch(() => this.#out.destroy());
  }

  async #patiently(told: Told): Promise<void> {
    this.#tell(told);
    await this.#drained();
  }

  async #drained(): Promise<void> {
    if (!this.#out.writableNeedDrain || this.#out.destroyed) return;
    const late = AbortSignal.timeout(this.#drainMsMax);
    await once(this.#out, 'drain', { signal: late }).catch(() => this.#out.destroy());
  }

  #tell(told: Told): void {
    this.#position = told.position;
    const notice = heard(told, this.#interest, this.#sight);
    if (notice === null) return;
    this.#write(`id: ${told.position}\nevent: ${notice.type}\ndata: ${JSON.stringify(notice)}\n\n`);
  }

  #heartbeat(): void {
    const { position } = this.#tail;
    if (this.#live && position !== null) this.#position = Math.max(this.#position, position);
    this.#write(`:\nid: ${this.#position}\n\n`);
  }

  #write(text: string): void {
    if (!this.#out.destroyed && !this.#out.writableEnded) this.#out.write(text);
  }

  #gone(): void {
    clearInterval(this.#beat);
    this.#tail.leave(this);
  }
}
