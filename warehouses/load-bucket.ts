import { openBucket } from '../buckets/open.ts';
import type { BucketPlace } from '../buckets/place.ts';
import { Transfers } from '../buckets/transfers.ts';
import { dropLeftOver, fileUpload, putWhole } from '../buckets/upload.ts';

/** Of a load whose process was killed; a load takes far less than a day. */
const LEFT_OVER_MS = 86_400_000;
/** Objects of killed processes that one sweep looks at. */
const OBJECTS_MAX = 100_000;

/** The folder of a bucket through which rows go on their way into a warehouse. Nobody else writes there. */
export interface LoadBucket {
  /** `s3://bucket/key`, `gs://bucket/key`. */
  url(key: string): string;
  /** Sends a local file; gives its key. `name`: below the prefix; nobody has used it. */
  put(name: string, path: string, signal?: AbortSignal): Promise<string>;
  /** An object that is gone already is no error. */
  remove(key: string): Promise<void>;
  /** Objects of killed processes. */
  removeLeftOver(nowMs: number): Promise<number>;
  close(): void;
}

/** `remedy`: what the operator does when the bucket refuses. */
export async function openLoadBucket(
  place: BucketPlace,
  prefix: string,
  remedy: string,
): Promise<LoadBucket> {
  const errors = { away: 'WAREHOUSE_UNAVAILABLE', refused: 'WAREHOUSE_REJECTED' } as const;
  const bucket = await openBucket(place, { ...errors, remedy });
  const transfers = new Transfers();
  const remove: LoadBucket['remove'] = (key) => transfers.run(() => bucket.remove(key));
  return {
    url: (key) => `${bucket.place}/${key}`,
    put: async (name, path, signal) => {
      const key = `${prefix}${name}`;
      try {
        await putWhole({ bucket, transfers }, key, await fileUpload(path), signal);
      } catch (error) {
        // It may have arrived all the same.
        await bucket.remove(key).catch(() => undefined);
        throw error;
      }
      return key;
    },
    remove,
    removeLeftOver: async (nowMs) => {
      const old = await transfers.run(async () => {
        const found: string[] = [];
        let seen = 0;
        for await (const { key, at } of bucket.list(prefix)) {
          if (nowMs - Date.parse(at) > LEFT_OVER_MS) found.push(key);
          seen += 1;
          if (seen >= OBJECTS_MAX) break;
        }
        return found;
      });
      for (const key of old) await remove(key);
      return old.length + (await dropLeftOver({ bucket, transfers }, prefix, nowMs));
    },
    close: () => bucket.close(),
  };
}
