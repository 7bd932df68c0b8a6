import type { Services } from '../services.ts';

const LOOK_EVERY_MS = 60_000;

/**
 * Sees that the workflow `notify/<subscription>` runs. One that has ended because its receiver wants no more stays so until this
 * process starts anew; one that failed, and one that somebody ended, begins again.
 */
export class NotifyRuns {
  readonly #services: Services;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  #failed = false;
  #begun = false;

  constructor(services: Services) {
    this.#services = services;
  }

  start(everyMs = LOOK_EVERY_MS): void {
    if (Object.keys(this.#services.serve.subscriptions).length === 0) return;
    this.#look();
    this.#timer = setInterval(() => this.#look(), everyMs);
  }

  /** A look that goes on is not waited for: it may hang on a Temporal that is away. */
  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    this.#looking = this.#looking.then(async () => {
      try {
        await this.#ensure();
        this.#begun = true;
        this.#failed = false;
      } catch (error) {
        const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
        if (!this.#failed) this.#services.log('warn', 'subscribers cannot be told', { code });
        this.#failed = true;
      }
    });
  }

  async #ensure(): Promise<void> {
    const { temporal, serve, loaded } = this.#services;
    const client = await temporal();
    for (const subscription of Object.keys(serve.subscriptions)) {
      try {
        await client.workflow.start('notify', {
          workflowId: `notify/${subscription}`,
          taskQueue: loaded.config.temporal.taskQueue,
          args: [{ subscription }],
          workflowIdConflictPolicy: 'USE_EXISTING',
          workflowIdReusePolicy: this.#begun ? 'ALLOW_DUPLICATE_FAILED_ONLY' : 'ALLOW_DUPLICATE',
          staticSummary: `${subscription} · told of changes`,
        });
      } catch (error) {
        if (!isEnded(error)) throw error;
      }
    }
  }
}

/** Completed, and not to be begun again. */
function isEnded(error: unknown): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'name' in error &&
    error.name === 'WorkflowExecutionAlreadyStartedError'
  );
}
