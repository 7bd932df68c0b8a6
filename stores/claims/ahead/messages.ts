/**
 * Observations to hash and seal. Their texts are sent as one, since each text of a message costs more than its letters: per row
 * the prefix of its id and its content, then what each identifier says.
 */
export interface SealRequest {
  number: number;
  all: string;
  /** Of the parts of `all`, in UTF-16 units: two per row, then one per identifier. */
  lengths: Uint32Array;
  rows: number;
}

/** In the order of the request; all ids, salts and hashes have one length each. Body n ends at `ends[n]`. */
export interface Sealed {
  number: number;
  ids: string;
  salts: string;
  hashes: string;
  bodies: Uint8Array<ArrayBuffer>;
  ends: Uint32Array<ArrayBuffer>;
}
