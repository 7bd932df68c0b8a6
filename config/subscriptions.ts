import { z } from 'zod';
import type { Entity } from '../schemas/entities/entity.ts';
import type { Mistake } from './mistakes.ts';
import { nearest } from './nearest.ts';
import { entitiesOf, type ProfilesConfig } from './profiles.ts';
import { resolveSecrets, type SecretReference } from './secrets.ts';
import { HeadwaterError } from '../rules/errors.ts';

const SECRETS_MAX = 5;
const FIELDS_MAX = 200;
const VALUES_MAX = 200;
const NAMES_SHOWN_MAX = 40;
const NAME = /^[a-z][a-z0-9_-]{0,39}$/;
/** As Standard Webhooks has them: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md. */
const KEY = /^whsec_([A-Za-z0-9+/]+={0,2})$/;
const KEY_BYTES_MIN = 24;
const KEY_BYTES_MAX = 64;
const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

const scalarSchema = z.union([z.string(), z.number(), z.boolean(), z.null()]);

/** Loopback is what the operator wrote, so it needs no further word; every other address is looked at when it is connected to. */
export function isLoopback(hostname: string): boolean {
  return LOOPBACK.test(hostname);
}

const urlSchema = z.url({ protocol: /^https?$/ }).superRefine((text, context) => {
  const url = new URL(text);
  if (url.protocol === 'http:' && !isLoopback(url.hostname))
    context.addIssue({ code: 'custom', message: 'is not https. Only this machine is reached by http.' });
  // I5: the address is shown, a password in it would be too.
  if (url.username !== '' || url.password !== '')
    context.addIssue({
      code: 'custom',
      message: 'has a user or a password in it. Requests are signed instead.',
    });
});

/** Who is told of changed profiles. `secret`: the type of a reference, which lies beside. */
export const subscriptionsSchema = (secret: z.ZodType<SecretReference, SecretReference>) =>
  z
    .record(
      z.string().regex(NAME, 'is no name of a subscription. Write a to z, 0 to 9, - and _.'),
      z.strictObject({
        url: urlSchema,
        /** `whsec_` and base64; several sign all at once while a receiver changes from one to the next. */
        secret: z.union([secret.transform((one) => [one]), z.array(secret).min(1).max(SECRETS_MAX)]),
        /** Default: all. */
        entity: z.string().min(1).optional(),
        /** Only changes of these are told, and only these are sent. Default: all. */
        fields: z.array(z.string().min(1)).min(1).max(FIELDS_MAX).optional(),
        /** Only profiles whose fields have this value, or one of these. */
        where: z
          .record(
            z.string().min(1),
            z.union([scalarSchema.transform((one) => [one]), z.array(scalarSchema).min(1).max(VALUES_MAX)]),
          )
          .default({}),
        /** Classes of fields whose values it sees. */
        sees: z
          .array(z.enum(['business', 'identifier', 'personal', 'sensitive']))
          .default(['business', 'identifier', 'personal']),
        /** What the receiver does with people, by flags of the entity `consent`: as keys have it. */
        consents: z.array(z.string().min(1)).default([]),
        /** Lets the address lead into a private network. */
        allowPrivate: z.boolean().default(false),
      }),
    )
    .default({});
export type SubscriptionsConfig = z.output<ReturnType<typeof subscriptionsSchema>>;
export type SubscriptionConfig = SubscriptionsConfig[string];

/** Secret files are written relative to the home. */
export function placedSubscriptions(
  subscriptions: SubscriptionsConfig,
  placed: (secret: SecretReference) => SecretReference,
): SubscriptionsConfig {
  return Object.fromEntries(
    Object.entries(subscriptions).map(([name, one]) => [name, { ...one, secret: one.secret.map(placed) }]),
  );
}

/** Keys that sign, read just before they are used. SECRET_MISSING; CONFIG_INVALID for what is no such key (I5: without repeating it). */
export function signingKeys(name: string, { secret }: Pick<SubscriptionConfig, 'secret'>): Buffer[] {
  return secret.map((reference, index) => {
    const at = `serve.subscriptions.${name}.secret${secret.length === 1 ? '' : `[${index}]`}`;
    const value = resolveSecrets(reference, at);
    const [, base64] = typeof value === 'string' ? (KEY.exec(value) ?? []) : [];
    const key = Buffer.from(base64 ?? '', 'base64');
    if (key.length >= KEY_BYTES_MIN && key.length <= KEY_BYTES_MAX) return key;
    throw new HeadwaterError('CONFIG_INVALID', `${at}: the value of this secret is no signing key`, {
      remedy: `Write \`whsec_\` and ${KEY_BYTES_MIN} to ${KEY_BYTES_MAX} random bytes in base64, such as \`echo whsec_$(openssl rand -base64 32)\`.`,
    });
  });
}

/** Entities and fields that a subscription names and nobody has. */
export function subscriptionMistakes(config: {
  profiles?: ProfilesConfig | undefined;
  serve?: { subscriptions: SubscriptionsConfig } | undefined;
}): Mistake[] {
  const { profiles, serve } = config;
  const found: Mistake[] = [];
  for (const [name, { entity, fields = [], where }] of Object.entries(serve?.subscriptions ?? {})) {
    const path = ['serve', 'subscriptions', name];
    if (profiles === undefined) {
      found.push({ path, message: 'needs profiles to tell of. Add `profiles: {}`.' });
      continue;
    }
    const known = entitiesOf(profiles);
    const about = entity === undefined ? [...known.values()] : [known.get(entity)].filter(isEntity);
    if (about.length === 0) {
      const message = `is no entity. ${guessed(entity ?? '', [...known.keys()])}`;
      found.push({ path: [...path, 'entity'], message });
      continue;
    }
    const names = [...new Set(about.flatMap((one) => Object.keys(one.fields)))];
    const named = [
      ...fields.map((field, at) => ({ field, at: ['fields', String(at)] })),
      ...Object.keys(where).map((field) => ({ field, at: ['where', field] })),
    ];
    for (const { field, at } of named) {
      if (names.includes(field)) continue;
      const message = `is no field of ${entity ?? 'any entity'}. ${guessed(field, names)}`;
      found.push({ path: [...path, ...at], message });
    }
  }
  return found;
}

const isEntity = (one: Entity | undefined): one is Entity => one !== undefined;

function guessed(name: string, known: readonly string[]): string {
  const guess = nearest(name, known);
  return guess === undefined
    ? `Known here: ${known.slice(0, NAMES_SHOWN_MAX).join(', ')}.`
    : `Did you mean ${guess}?`;
}
