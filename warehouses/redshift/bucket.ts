import { openBucket } from '../../buckets/open.ts';
import { Transfers } from '../../buckets/transfers.ts';
import { dropLeftOver, fileUpload, putWhole } from '../../buckets/upload.ts';
import { awsLogin } from './config.ts';
import type { RedshiftConfig } from './config.ts';

/** Of a load whose process was killed; a load takes far less than a day. */
const LEFT_OVER_MS = 86_400_000;
/** Objects of killed processes that one sweep looks at. */
const OBJECTS_MAX = 100_000;

/** The folder of a bucket through which rows go on their way. Nobody else writes there. */
export interface LoadBucket {
  /** As COPY names it. */
  url(key: string): string;
  /** Sends a local file. `name`: below the prefix; nobody has used it. */
  put(name: string, path: string, signal?: AbortSignal): Promise<string>;
  /** An object that is gone already is no error. */
  remove(key: string): Promise<void>;
  /** Objects of killed processes. */
  removeLeftOver(nowMs: number): Promise<number>;
  close(): void;
}

export async function openLoadBucket(config: RedshiftConfig): Promise<LoadBucket> {
  const { region, endpoint, prefix } = config;
  const bucket = await openBucket(
    {
      ...{ kind: 's3', bucket: config.bucket, region, endpoint, forcePathStyle: endpoint !== undefined },
      login: awsLogin(config).credentials,
    },
    {
      ...{ away: 'WAREHOUSE_UNAVAILABLE', refused: 'WAREHOUSE_REJECTED' },
      remedy:
        '`npx headwater check` prints the policy that the worker needs; see docs/warehouses/redshift.md.',
    },
  );
  const transfers = new Transfers();
  const remove: LoadBucket['remove'] = (key) => transfers.run(() => bucket.remove(key));
  return {
    url: (key) => `${bucket.place}/${key}`,
    put: async (name, path, signal) => {
      const key = `${prefix}${name}`;
      await putWhole({ bucket, transfers }, key, await fileUpload(path), signal);
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
