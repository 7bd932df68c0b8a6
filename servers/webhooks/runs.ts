import type { Services } from '../services.ts';

const LOOK_EVERY_MS = 10_000;
/** What waits longer than this has no workflow that takes it. */
const WAITED_MS_MAX = 2_000;
const PRUNE_EVERY_MS = 3_600_000;

/**
 * Sees that the workflow `inbox/<connection>` runs, beside the requests and never in their way: without Temporal events are
 * accepted as ever, and it is tried again.
 */
export class InboxRuns {
  readonly #services: Services;
  /** Those that push: theirs runs before the first event. */
  readonly #connections: readonly string[];
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  #failed = false;
  #prunedMs = 0;

  constructor(services: Services, connections: readonly string[]) {
    this.#services = services;
    this.#connections = connections;
  }

  start(everyMs = LOOK_EVERY_MS): void {
    this.#look(this.#connections);
    this.#timer = setInterval(() => this.#look(), everyMs);
  }

  /** A look that goes on is not waited for: it may hang on a Temporal that is away. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** One look at a time. `all`: whatever waits. */
  #look(all?: readonly string[]): void {
    this.#looking = this.#looking.then(async () => {
      try {
        await this.#ensure(all ?? (this.#failed ? this.#connections : await this.#waiting()));
        this.#failed = false;
        await this.#prune();
      } catch (error) {
        const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
        if (!this.#failed) this.#services.log('warn', 'inbox workflows cannot be started', { code });
        this.#failed = true;
      }
    });
  }

  async #waiting(): Promise<string[]> {
    const before = new Date(this.#services.now() - WAITED_MS_MAX).toISOString();
    const states = await this.#services.inbox.states();
    const late = states.filter(({ oldestAt }) => oldestAt !== null && oldestAt < before);
    const { connections } = this.#services.loaded.config;
    return late.map(({ connection }) => connection).filter((name) => Object.hasOwn(connections, name));
  }

  async #ensure(connections: readonly string[]): Promise<void> {
    if (connections.length === 0) return;
    const client = await this.#services.temporal();
    for (const connection of connections) {
      await client.workflow.start('inbox', {
        workflowId: `inbox/${connection}`,
        taskQueue: this.#services.loaded.config.temporal.taskQueue,
        args: [{ connection }],
        workflowIdConflictPolicy: 'USE_EXISTING',
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      });
    }
  }

  async #prune(): Promise<void> {
    const { inbox, now, serve } = this.#services;
    const nowMs = now();
    if (nowMs - this.#prunedMs < PRUNE_EVERY_MS) return;
    this.#prunedMs = nowMs;
    await inbox.prune(new Date(nowMs - serve.inbox.remember).toISOString());
  }
}
