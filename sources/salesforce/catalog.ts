import type { DescribeGlobalResult } from 'jsforce';
import { HeadwaterError } from '../../rules/errors.ts';
import { warehouseNames } from '../../rules/naming.ts';
import type { ObjectListing } from '../source.ts';
import type { SalesforceClient } from './client.ts';

export type GlobalObject = DescribeGlobalResult['sobjects'][number];

const CATALOG_AGE_MS_MAX = 3_600_000;
const MISSING_AGE_MS_MAX = 10_000;
const NAME_CHARS_MAX = 80;

/** Objects whose queries Salesforce refuses without a filter on one of their fields (SOQL reference, object limits). */
const NEEDS_FILTER = new Set([
  'ContentDocumentLink',
  'ContentFolderItem',
  'ContentFolderMember',
  'ContentHubItem',
  'IdeaComment',
  'Vote',
  'DatacloudAddress',
  'DataStatistics',
  'FieldDefinition',
  'FieldPermissions',
  'EntityParticle',
  'FlexQueueItem',
  'ListViewChartInstance',
  'OutgoingEmail',
  'OutgoingEmailRelation',
  'PicklistValueInfo',
  'RelationshipDomain',
  'RelationshipInfo',
  'SearchLayout',
  'SiteDetail',
  'UserEntityAccess',
  'UserFieldAccess',
  'UserRecordAccess',
]);

/** Objects that exist to hold files; named in `objects`, their other fields can be synced. */
const BLOBS = new Set([
  'Attachment',
  'ContentVersion',
  'ContentNote',
  'Document',
  'MailmergeTemplate',
  'StaticResource',
]);

const SUFFIXES: readonly { readonly suffix: RegExp; readonly reason: string }[] = [
  { suffix: /Share$/, reason: 'sharing rows of another object' },
  { suffix: /Feed$/, reason: 'feed items of another object' },
  { suffix: /History$/, reason: 'field history of another object' },
  { suffix: /ChangeEvent$/, reason: 'a change event, not a record' },
];

/** The org's objects; one call, remembered for an hour, shared by all that need it. */
export class Catalog {
  private readonly client: SalesforceClient;
  private loaded: { at: number; objects: Promise<GlobalObject[]> } | undefined;

  constructor(client: SalesforceClient) {
    this.client = client;
  }

  async objects(ageMsMax = CATALOG_AGE_MS_MAX): Promise<GlobalObject[]> {
    const now = this.client.context.now();
    if (this.loaded === undefined || now - this.loaded.at > ageMsMax) {
      const objects = this.load();
      this.loaded = { at: now, objects };
      // A failure must not be remembered for an hour.
      objects.catch(() => {
        if (this.loaded?.objects === objects) this.loaded = undefined;
      });
    }
    return this.loaded.objects;
  }

  async find(object: string): Promise<GlobalObject> {
    const named = (candidate: GlobalObject): boolean => candidate.name === object;
    // An object that was created a moment ago is not in a list of half an hour ago.
    const found = (await this.objects()).find(named) ?? (await this.objects(MISSING_AGE_MS_MAX)).find(named);
    if (found === undefined) {
      throw new HeadwaterError(
        'OBJECT_UNKNOWN',
        `Salesforce has no object ${object.slice(0, NAME_CHARS_MAX)}, or hides it from this user`,
      );
    }
    return found;
  }

  /** Table per object, unique in the org. */
  async tables(): Promise<Map<string, string>> {
    return warehouseNames((await this.objects()).map((object) => object.name));
  }

  async list(): Promise<ObjectListing[]> {
    const objects = await this.objects();
    const names = new Set(objects.map((object) => object.name));
    return objects.map((object) => {
      const reason = whyNot(object, names);
      return {
        object: object.name,
        label: object.label,
        custom: object.custom,
        syncable: reason === undefined,
        ...(reason === undefined ? {} : { reason }),
      };
    });
  }

  private async load(): Promise<GlobalObject[]> {
    return (await (await this.client.metadata()).describeGlobal()).sobjects;
  }
}

/** Why `all` leaves an object out; undefined: it does not. */
export function whyNot(
  object: Pick<GlobalObject, 'name' | 'queryable'>,
  names: ReadonlySet<string>,
): string | undefined {
  const { name } = object;
  if (name.endsWith('__x')) return 'an external object: its rows live in another system';
  if (name.endsWith('__b')) return 'a big object: it cannot be read by change';
  if (!object.queryable) return 'not queryable';
  for (const { suffix, reason } of SUFFIXES) {
    const parent = name.replace(suffix, '');
    // `LoginHistory` is an object in its own right: there is no object `Login`.
    if (parent !== name && (parent.endsWith('__') || names.has(parent))) return reason;
  }
  if (NEEDS_FILTER.has(name)) return 'can only be queried with a filter';
  if (BLOBS.has(name)) return 'holds files; name it in `objects` to sync its other fields';
  return undefined;
}
