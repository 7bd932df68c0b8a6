/** The 25 Contact fields of the bench, in the order in which Salesforce describes them, with the types in which they land. */

const VARCHAR = 'VARCHAR';
const STAMP = 'TIMESTAMP WITH TIME ZONE';

/** Salesforce's name, the warehouse's column, the warehouse's type; how many digits a decimal gets is the product's choice. */
export const CONTACT_FIELDS: readonly (readonly [field: string, column: string, type: string])[] = [
  ['Id', 'id', VARCHAR],
  ['AccountId', 'account_id', VARCHAR],
  ['LastName', 'last_name', VARCHAR],
  ['FirstName', 'first_name', VARCHAR],
  ['Title', 'title', VARCHAR],
  ['Department', 'department', VARCHAR],
  ['Email', 'email', VARCHAR],
  ['Phone', 'phone', VARCHAR],
  ['MailingStreet', 'mailing_street', VARCHAR],
  ['MailingCity', 'mailing_city', VARCHAR],
  ['MailingPostalCode', 'mailing_postal_code', VARCHAR],
  ['MailingCountry', 'mailing_country', VARCHAR],
  ['MailingLatitude', 'mailing_latitude', 'DOUBLE'],
  ['Birthdate', 'birthdate', 'DATE'],
  ['LeadSource', 'lead_source', VARCHAR],
  ['HasOptedOutOfEmail', 'has_opted_out_of_email', 'BOOLEAN'],
  ['External_Id__c', 'external_id__c', VARCHAR],
  ['Lifetime_Value__c', 'lifetime_value__c', 'DECIMAL'],
  ['Score__c', 'score__c', 'DECIMAL'],
  ['Visits__c', 'visits__c', 'DECIMAL'],
  ['Last_Seen__c', 'last_seen__c', STAMP],
  ['OwnerId', 'owner_id', VARCHAR],
  ['IsDeleted', 'is_deleted', 'BOOLEAN'],
  ['CreatedDate', 'created_date', STAMP],
  ['SystemModstamp', 'system_modstamp', STAMP],
];

export const FIELD_NAMES = CONTACT_FIELDS.map(([field]) => field);

export interface ChecksumColumns {
  id: string;
  stamp: string;
  /** Null for a tool that stores amounts as doubles, which do not hold them exactly. */
  amount: string | null;
}

/** Rows and one sum over key, stamp and amount: equal on both sides when the same rows hold the same values. */
export function checksumSql(table: string, columns: ChecksumColumns): string {
  const { id, stamp, amount } = columns;
  const stampText = `epoch_us(CAST(${stamp} AS TIMESTAMPTZ))`;
  const amountText =
    amount === null ? "''" : `coalesce(CAST(CAST(${amount} AS DECIMAL(18,2)) AS VARCHAR),'')`;
  return (
    `SELECT CAST(count(*) AS VARCHAR) AS "rows",` +
    `CAST(sum(hash(concat(${id},'|',${stampText},'|',${amountText}))) AS VARCHAR) AS "checksum" FROM ${table}`
  );
}

export interface Checksum {
  rows: number;
  checksum: string;
}

export const OUR_COLUMNS: ChecksumColumns = {
  id: 'id',
  stamp: 'system_modstamp',
  amount: 'lifetime_value__c',
};

export function assertSame(what: string, found: Checksum, wanted: Checksum): void {
  if (found.rows === wanted.rows && found.checksum === wanted.checksum) return;
  throw new Error(
    `${what}: ${found.rows} rows with checksum ${found.checksum}, expected ${wanted.rows} with ${wanted.checksum}`,
  );
}

export const OUR_COLUMNS_INEXACT: ChecksumColumns = { ...OUR_COLUMNS, amount: null };
