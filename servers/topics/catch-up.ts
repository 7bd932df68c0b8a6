import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { fromMs } from '../../rules/time.ts';
import type { Services } from '../services.ts';
import type { TopicRecord } from './topic-record.ts';

const EVERY_MS = 5_000;
const CONNECTION = defineSearchAttributeKey('Connection', SearchAttributeType.KEYWORD);
const TRIGGER = defineSearchAttributeKey('Trigger', SearchAttributeType.KEYWORD);
const PHASE = defineSearchAttributeKey('Phase', SearchAttributeType.KEYWORD);

/**
 * Starts the run that a topic owes, as `sync/<connection>/catch-up`. It begins late enough to see what it is for, so one that
 * goes on already is waited for. What a run of its own leaves, the schedule's next one finds: coverage says what is missing.
 */
export class CatchUp {
  readonly #services: Services;
  readonly #record: TopicRecord;
  readonly #everyMs: number;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  #failed = false;

  constructor(services: Services, record: TopicRecord, everyMs = EVERY_MS) {
    this.#services = services;
    this.#record = record;
    this.#everyMs = everyMs;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#look(), this.#everyMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const { owed } = this.#record.topic;
    if (this.#looking || owed === null || owed.at > fromMs(this.#services.now())) return;
    this.#looking = true;
    try {
      if (await this.#begin(owed.objects)) {
        // More may be owed by now.
        if (this.#record.topic.owed === owed) await this.#record.update({ owed: null });
        this.#tell('info', 'a run catches up', {});
      }
      this.#failed = false;
    } catch (error) {
      const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
      if (!this.#failed) this.#tell('warn', 'a run that is owed cannot be started', { code });
      this.#failed = true;
    } finally {
      this.#looking = false;
    }
  }

  async #begin(objects: 'all' | readonly string[]): Promise<boolean> {
    const { connection } = this.#record.topic;
    const client = await this.#services.temporal();
    try {
      await client.workflow.start('syncConnection', {
        workflowId: `sync/${connection}/catch-up`,
        taskQueue: this.#services.loaded.config.temporal.taskQueue,
        staticSummary: `${connection} · changes that no event named`,
        typedSearchAttributes: [
          { key: CONNECTION, value: connection },
          { key: TRIGGER, value: 'manual' },
          { key: PHASE, value: 'plan' },
        ],
        args: [{ connection, trigger: 'manual', ...(objects === 'all' ? {} : { objects }) }],
      });
      return true;
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
      throw error;
    }
  }

  #tell(level: 'info' | 'warn', message: string, fields: Record<string, string>): void {
    const { connection, topic } = this.#record.topic;
    this.#services.log(level, message, { connection, topic, ...fields });
  }
}
