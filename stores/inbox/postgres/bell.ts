import { Client } from 'pg';

const AGAIN_MS = 500;
/** Without a connection every look may find something: it is asked so often. */
const BLIND_MS = 50;

/** Rings when any process has accepted something: a connection of its own that listens. */
export class Bell {
  readonly #url: string;
  readonly #channel: string;
  #client: Client | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #rings = 0;

  constructor(url: string, channel: string) {
    this.#url = url;
    this.#channel = channel;
  }

  async open(): Promise<void> {
    const client = new Client({
      connectionString: this.#url,
      application_name: 'headwater',
      keepAlive: true,
    });
    client.on('notification', () => (this.#rings += 1));
    client.on('error', () => this.#lost(client));
    client.on('end', () => this.#lost(client));
    await client.connect();
    await client.query(`LISTEN ${this.#channel}`);
    this.#client = client;
    // Whatever came while nobody listened.
    this.#rings += 1;
  }

  get rings(): number {
    return this.#client === undefined ? this.#rings + Math.floor(performance.now() / BLIND_MS) : this.#rings;
  }

  ring(): void {
    this.#rings += 1;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#client?.end().catch(() => {});
  }

  #lost(client: Client): void {
    if (this.#client === client) this.#client = undefined;
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.open().catch(() => this.#lost(client));
    }, AGAIN_MS);
    this.#timer.unref();
  }
}
