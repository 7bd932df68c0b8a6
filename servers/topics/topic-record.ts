import type { Topic } from '../../schemas/topic.ts';
import type { Inbox } from '../../stores/inbox/inbox.ts';

type TopicStore = Pick<Inbox, 'topics' | 'keepTopic'>;
export type Owed = NonNullable<Topic['owed']>;

/** A place that is kept late brings some events again, and they are known. */
const LATE_MS = 200;

/** What is kept of one topic; changes are written one after another. */
export class TopicRecord {
  readonly #inbox: TopicStore;
  #topic: Topic;
  #writing: Promise<void> = Promise.resolve();
  #late: NodeJS.Timeout | undefined;

  private constructor(inbox: TopicStore, topic: Topic) {
    this.#inbox = inbox;
    this.#topic = topic;
  }

  /** `isNew`: nobody followed this topic before. */
  static async open(
    inbox: TopicStore,
    connection: string,
    topic: string,
  ): Promise<{ record: TopicRecord; isNew: boolean }> {
    const kept = await inbox.topics();
    const known = kept.find((one) => one.connection === connection && one.topic === topic);
    const blank = { position: null, since: null, heardAt: null, trouble: null, owed: null };
    return {
      record: new TopicRecord(inbox, known ?? { connection, topic, ...blank }),
      isNew: known === undefined,
    };
  }

  get topic(): Topic {
    return this.#topic;
  }

  /** Resolves once it is safe; what could not be written is written with the next change. */
  async update(change: Partial<Topic>): Promise<void> {
    clearTimeout(this.#late);
    this.#late = undefined;
    const topic = { ...this.#topic, ...change };
    this.#topic = topic;
    const before = this.#writing;
    const written = before.catch(() => undefined).then(() => this.#inbox.keepTopic(topic));
    this.#writing = written.catch(() => undefined);
    await written;
  }

  /** Together with others, some moments later. */
  note(change: Partial<Topic>): void {
    this.#topic = { ...this.#topic, ...change };
    this.#late ??= setTimeout(() => void this.update({}).catch(() => undefined), LATE_MS).unref();
  }

  /** What is owed with this too: the later moment counts for all of it. */
  owing(objects: Owed['objects'], at: string): Owed {
    const { owed } = this.#topic;
    if (owed === null) return { objects, at };
    const later = at > owed.at ? at : owed.at;
    if (owed.objects === 'all' || objects === 'all') return { objects: 'all', at: later };
    return { objects: [...new Set([...owed.objects, ...objects])], at: later };
  }
}
