/** The name of the claims store among the sinks: its coverage is its own, so a bad rule never blocks raw landing. */
export const CLAIMS_SINK = 'claims';
