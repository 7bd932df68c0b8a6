import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openBucket } from '../../buckets/open.ts';
import type { StagePlace } from '../place.ts';
import { openBucketStage, probeBucket, STAGE_ID, stageIdIn } from './bucket.ts';
import { openDiskStage } from './disk.ts';
import type { Stage } from './stage.ts';

export async function openStageAt(place: StagePlace): Promise<Stage> {
  if (place.kind === 'disk') return await openDiskStage({ root: place.path });
  const { path, prefix } = place;
  return await openBucketStage({ bucket: await openBucket(place), prefix, path, now: Date.now });
}

/** The id of a stage that was used before, null for another: makes nothing. */
export async function knownStageId(place: StagePlace): Promise<string | null> {
  if (place.kind === 'disk') {
    return await readFile(join(place.path, STAGE_ID), 'utf8').then(
      (text) => text.trim(),
      () => null,
    );
  }
  return await stageIdIn(await openBucket(place), place.prefix);
}

/** Writes a small object, looks at it, lists it and removes it: the rights that a stage needs. */
export async function checkStageAt(place: Exclude<StagePlace, { kind: 'disk' }>): Promise<string> {
  const bucket = await openBucket(place);
  await probeBucket(bucket, place.prefix);
  return `${bucket.place}/${place.prefix} can be written, read, listed and cleaned`;
}
