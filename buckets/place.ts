/** A bucket of S3 or of what speaks its protocol. Without a login the SDK looks for one; a login is a secret (I5). */
export interface S3Place {
  kind: 's3';
  bucket: string;
  region: string;
  endpoint?: string | undefined;
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`. */
  forcePathStyle: boolean;
  login?: { accessKeyId: string; secretAccessKey: string; sessionToken?: string } | undefined;
}

/** A bucket of Google Cloud Storage. `key`: that of a service account, a secret (I5); without one, the login of the machine. */
export interface GcsPlace {
  kind: 'gcs';
  bucket: string;
  endpoint?: string | undefined;
  key?: Record<string, unknown> | undefined;
  /** No login at all: an emulator. */
  anonymous: boolean;
}

export type BucketPlace = S3Place | GcsPlace;
