import { BUCKET_OPTIONS, type Bucket } from './bucket.ts';
import type { BucketErrors } from './errors.ts';
import type { BucketPlace } from './place.ts';

/** The services' clients are large: only the one that is asked for is loaded. No request is made yet. */
export async function openBucket(place: BucketPlace, errors?: BucketErrors): Promise<Bucket> {
  const options = errors === undefined ? BUCKET_OPTIONS : { ...BUCKET_OPTIONS, errors };
  if (place.kind === 's3') return (await import('./s3.ts')).s3Bucket(place, options);
  return (await import('./gcs.ts')).gcsBucket(place, options);
}
