/**
 * The catalog: every code that can end a step, whether trying again can help, and what the operator should do.
 * `docs/errors.md` matches it by test; activities/failure.ts alone turns it into a Temporal failure.
 */
export const ERRORS = {
  CONFIG_INVALID: {
    retryable: false,
    remedy: 'Correct the named path in headwater.config.ts, then run `npx headwater check`.',
  },
  INPUT_INVALID: { retryable: false, remedy: 'Correct the named input; nothing was changed.' },
  SECRET_MISSING: {
    retryable: false,
    remedy: 'Set the named environment variable or file for the worker and restart it.',
  },
  INBOX_FULL: {
    retryable: true,
    remedy:
      'Events wait for the worker: see that it runs with `npx headwater status`; senders come back by themselves.',
  },
  INBOX_UNAVAILABLE: {
    retryable: true,
    remedy:
      'The inbox cannot be written: see that its disk or database is there; senders come back by themselves.',
  },
  POSITION_LOST: {
    retryable: false,
    remedy:
      'The source no longer has the changes behind the last one that was read; a sync that finds them is started by itself.',
  },
  VERSION_CONFLICT: {
    retryable: false,
    remedy: 'Somebody changed it first: read it again and decide anew.',
  },
  AUTH_FAILED: {
    retryable: false,
    remedy: 'Check the client id, secret and login URL, then run `npx headwater check <connection>`.',
  },
  PERMISSION_DENIED: {
    retryable: false,
    remedy: 'Grant the named permission to the integration user in the source.',
  },
  OBJECT_UNKNOWN: {
    retryable: false,
    remedy: 'Run `npx headwater discover <connection>` and correct the objects in the configuration.',
  },
  SOURCE_REJECTED: {
    retryable: false,
    remedy: 'The source refuses this request; read its answer in the message.',
  },
  SOURCE_UNAVAILABLE: {
    retryable: true,
    remedy: 'The source is down or unreachable; a run tries again by itself.',
  },
  SOURCE_THROTTLED: {
    retryable: true,
    remedy: 'The source asks to slow down; a run goes on by itself.',
  },
  SOURCE_PROTOCOL: {
    retryable: true,
    triesMax: 5,
    remedy: 'The source answered in a way that its documents rule out; see the message.',
  },
  QUOTA_EXHAUSTED: {
    retryable: false,
    remedy: 'The daily call limit is reached; the next run resumes this window.',
  },
  JOB_LOST: {
    retryable: true,
    remedy: 'The bulk job is gone; the slice restarts from its last staged page.',
  },
  RECEIPT_TRANSPORT: {
    retryable: true,
    triesMax: 3,
    remedy: 'Rows sent and rows received differ; the slice is read again.',
  },
  RECEIPT_SOURCE: {
    retryable: false,
    remedy:
      'Rows are missing without explanation. Compare with `npx headwater receipts <connection> <object>`; release with `npx headwater receipts accept <window> --reason "why"`.',
  },
  RECEIPT_DESTINATION: {
    retryable: true,
    triesMax: 3,
    remedy: 'Keys are not in the warehouse at the expected version; the load is repeated.',
  },
  TOO_MANY_BAD_ROWS: {
    retryable: false,
    remedy:
      'Look at `npx headwater quarantine list <connection> <object>`, correct the field or the policy, then run `npx headwater retry <connection>`.',
  },
  SCHEMA_FROZEN: {
    retryable: false,
    remedy: 'The source changed a frozen schema; allow it in the policy or leave the field out.',
  },
  SHRINK_GUARD: {
    retryable: false,
    remedy:
      'The source suddenly has far fewer rows. If that is true, run `npx headwater sync <connection> --allow-shrink`, or after a backfill `npx headwater backfill <connection> --from beginning --allow-shrink`.',
  },
  SINK_REWOUND: {
    retryable: false,
    remedy:
      'The warehouse is older than the ledger. Run `npx headwater repair --from-stage`, then `npx headwater backfill <connection> --from beginning` for what the stage no longer holds.',
  },
  WAREHOUSE_LOCKED: { retryable: true, remedy: 'Another process owns the warehouse file; stop it or wait.' },
  WAREHOUSE_UNAVAILABLE: {
    retryable: true,
    remedy: 'The warehouse does not answer; staged windows are delivered when it does.',
  },
  WAREHOUSE_REJECTED: {
    retryable: false,
    remedy: 'The warehouse refuses the statement; read its answer in the message.',
  },
  STAGE_FULL: {
    retryable: true,
    remedy: 'The disk of the stage is nearly full; free space or move the stage.',
  },
  STAGE_MISSING: {
    retryable: true,
    triesMax: 3,
    remedy:
      'A staged file is gone. An open window is read again by itself; for a proven one run `npx headwater backfill <connection> <object> --from <from> --to <until> --reprocess all`.',
  },
  STAGE_UNAVAILABLE: {
    retryable: true,
    remedy: 'The bucket of the stage does not answer; steps go on when it does.',
  },
  STAGE_REFUSED: {
    retryable: false,
    remedy:
      'The bucket of the stage refuses: check its name, region and rights with `npx headwater check`, see docs/stage.md.',
  },
  STAGE_FOREIGN: {
    retryable: false,
    remedy:
      'This stage belongs to another ledger; use the stage of this installation. Workers of several machines need one that all of them see: docs/stage.md.',
  },
  LEDGER_FOREIGN: {
    retryable: false,
    remedy:
      'This ledger belongs to another Temporal cluster or namespace; use that one or start the worker once with HEADWATER_ADOPT=1.',
  },
  LEDGER_UNAVAILABLE: {
    retryable: true,
    remedy: "Start the ledger's Postgres, or correct `ledger.url`; runs go on by themselves when it answers.",
  },
  ATTEMPT_OUTDATED: { retryable: false, remedy: 'A newer run took this window over; nothing is lost.' },
  WINDOW_IN_PROGRESS: { retryable: false, remedy: 'The named workflow works on this interval; wait for it.' },
  FIRST_LOAD_MISSING: {
    retryable: false,
    remedy: 'Run the first load first: `npx headwater sync <connection>`.',
  },
  TEMPORAL_UNAVAILABLE: {
    retryable: true,
    remedy:
      'Start Headwater with `npx headwater start`, or set TEMPORAL_ADDRESS to a Temporal service that runs.',
  },
  PARTIAL: {
    retryable: false,
    remedy: 'Some objects failed; each line names the code and the fix. The next run resumes them.',
  },
  ALREADY_RUNNING: {
    retryable: false,
    remedy: 'Stop it with Ctrl-C there, or set HEADWATER_HOME to another folder.',
  },
  TIMEOUT: {
    retryable: false,
    remedy:
      'No step finished before the run had to end; the next run goes on here. `npx headwater logs <connection>/<object>` shows what took so long.',
  },
  PROCESS_ENDED: {
    retryable: true,
    remedy:
      'Its log, in the folder `logs` of the home, says why; `npx headwater start` starts all of them again.',
  },
  INTERNAL: {
    retryable: true,
    triesMax: 5,
    remedy:
      'This is a defect of Headwater; please report it with the answer of `npx headwater logs --level warn`.',
  },
} as const satisfies Record<string, { retryable: boolean; triesMax?: number; remedy: string }>;

export type ErrorCode = keyof typeof ERRORS;

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}

/** What a remedy's `<words>` stand for: connection, object, window, from, until. */
export type Names = Readonly<Record<string, string | undefined>>;

/**
 * Puts names in the place of a remedy's `<words>`, so that a printed command works as printed. A connection or an object
 * that nobody knows is left out: the commands then take all, or the only one.
 */
export function withNames(remedy: string, names: Names): string {
  return remedy
    .replaceAll(/<([a-z]+)>/g, (word, name: string) => names[name] ?? word)
    .replaceAll(/ <connection>(?:[ /]<object>)?(?=[` ])|[ /]<object>(?=[` ])/g, '');
}

/**
 * The one error class. `message` says what and where in one line, never a secret or a personal value (I5);
 * the remedy comes from the catalog unless a better one is given.
 */
export class HeadwaterError extends Error {
  readonly code: ErrorCode;
  readonly details: Record<string, unknown>;
  readonly remedy: string;
  /** When the other side said how long to wait. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      details?: Record<string, unknown>;
      cause?: unknown;
      remedy?: string;
      retryAfterMs?: number;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'HeadwaterError';
    this.code = code;
    this.details = options.details ?? {};
    this.remedy = options.remedy ?? ERRORS[code].remedy;
    this.retryAfterMs = options.retryAfterMs;
  }

  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }

  /** Tries of a step after which this error is final; undefined where waiting can help for as long as it takes. */
  get triesMax(): number | undefined {
    const entry: { retryable: boolean; triesMax?: number } = ERRORS[this.code];
    return entry.triesMax;
  }
}
