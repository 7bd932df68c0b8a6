import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import type { Services } from '../services.ts';

const LOOK_EVERY_MS = 5_000;
/** Changes of one look; the next one goes on. */
const CHANGES_MAX = 200;

/**
 * Sees that the workflow `change/<id>` runs for each pending change. The change itself is safe before: without Temporal it
 * waits, and its caller is not kept waiting.
 */
export class ChangeRuns {
  readonly #services: Services;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  #failed = false;

  constructor(services: Services) {
    this.#services = services;
  }

  start(everyMs = LOOK_EVERY_MS): void {
    void this.#look();
    this.#timer = setInterval(() => void this.#look(), everyMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** At once; what fails is found by the next look. */
  begin(change: string): void {
    void this.#run([change]);
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const claims = await this.#services.claims();
      const pending = (await claims?.pendingChanges(CHANGES_MAX)) ?? [];
      await this.#run(pending.map(({ id }) => id));
    } catch (error) {
      this.#tell(error);
    } finally {
      this.#looking = false;
    }
  }

  async #run(changes: readonly string[]): Promise<void> {
    if (changes.length === 0) return;
    try {
      const client = await this.#services.temporal();
      for (const change of changes) {
        await client.workflow
          .start('writeBack', {
            workflowId: `change/${change}`,
            taskQueue: this.#services.loaded.config.temporal.taskQueue,
            args: [{ change }],
            staticSummary: 'a change of a profile',
            workflowIdConflictPolicy: 'USE_EXISTING',
            // One that was terminated goes on; one that has ended has settled its change.
            workflowIdReusePolicy: 'ALLOW_DUPLICATE_FAILED_ONLY',
          })
          .catch((error: unknown) => {
            if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
          });
      }
      this.#failed = false;
    } catch (error) {
      this.#tell(error);
    }
  }

  /** Once per outage. */
  #tell(error: unknown): void {
    const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
    if (!this.#failed) this.#services.log('warn', 'changes cannot be started', { code });
    this.#failed = true;
  }
}
