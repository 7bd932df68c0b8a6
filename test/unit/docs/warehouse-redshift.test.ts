import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { keysAt } from '../../../config/mistakes.ts';
import { parseConfig } from '../../../config/parse-config.ts';
import { rolePolicy, workerPolicy } from '../../../warehouses/redshift/check.ts';
import { redshiftConfigSchema } from '../../../warehouses/redshift/config.ts';
import { warehouses } from '../../../warehouses/registry.ts';
import { KINDS, valid } from '../config/kinds.ts';

const PAGE = readFileSync('docs/warehouses/redshift.md', 'utf8');
const secret = { $secret: { env: 'REDSHIFT_PASSWORD' } };
const WRITTEN = {
  ...{
    kind: 'redshift',
    host: 'h',
    database: 'd',
    user: 'u',
    iamRole: 'default',
    bucket: 'bucket',
    region: 'r',
  },
};

test('the page names every option of the Data API, and the rights that it needs', () => {
  const [, rest = ''] = PAGE.split('| of `dataApi`');
  const [table = ''] = rest.split('\n\n');
  const names = [...table.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name);
  expect(names.toSorted()).toEqual(keysAt(redshiftConfigSchema, ['dataApi']).toSorted());
  const place = { bucket: 'b', prefix: 'p/' };
  const rights = (dataApi: object) =>
    workerPolicy({ ...place, dataApi })
      .replace(/^.*"arn:aws:s3:::b"\},/, '')
      .slice(0, -2);
  expect(PAGE).toContain(rights({ workgroup: 'acme' }));
  expect(rights({ clusterIdentifier: 'c' })).toMatch(/GetClusterCredentialsWithIAM/);
  expect(rights({ clusterIdentifier: 'c', dbUser: 'u' })).toMatch(/GetClusterCredentials"/);
  expect(rights({ workgroup: 'acme', secretArn: 'arn:s' })).toMatch(/GetSecretValue"\],"Resource":"arn:s"/);
});

test('the page names the policies that check prints', () => {
  const place = { bucket: 'acme-headwater', prefix: 'headwater-redshift/' };
  for (const policy of [rolePolicy(place), workerPolicy(place)]) expect(PAGE).toContain(policy);
});

test('one line of the configuration changes the warehouse; what is missing or double is told', () => {
  const lines = (warehouse: object): string[] => {
    const parsed = parseConfig(
      { ...valid(), warehouse },
      { file: 'headwater.config.ts', home: '/home', kinds: { ...KINDS, warehouses } },
    );
    return parsed.ok ? [] : parsed.lines;
  };
  expect(lines({ ...WRITTEN, password: secret })).toEqual([]);
  expect(lines({ ...WRITTEN, credentialsPath: '/run/credentials.json' })).toEqual([]);
  expect(lines(WRITTEN).join()).toMatch(/password.*credentialsPath/);
  const { host: _, user: __, ...bare } = WRITTEN;
  expect(lines({ ...bare, dataApi: { workgroup: 'w' } })).toEqual([]);
  expect(lines({ ...bare, dataApi: { clusterIdentifier: 'c', dbUser: 'u' } })).toEqual([]);
  expect(lines(bare).join()).toMatch(/host: is missing, or goes without dataApi/);
  expect(lines({ ...WRITTEN, dataApi: { workgroup: 'w' } }).join()).toMatch(/host.*dataApi/);
  expect(lines({ ...bare, password: secret, dataApi: { workgroup: 'w' } }).join()).toMatch(/dataApi: goes/);
  expect(lines({ ...bare, dataApi: {} }).join()).toMatch(/dataApi.workgroup: is missing/);
  expect(lines({ ...bare, dataApi: { workgroup: 'w', dbUser: 'u' } }).join()).toMatch(/dbUser: goes/);
  expect(lines({ ...WRITTEN, password: secret, accessKeyId: secret }).join()).toMatch(/secretAccessKey/);
  expect(lines({ ...WRITTEN, password: secret, iamRole: 'role' }).join()).toMatch(/iamRole.*no role/);
});
