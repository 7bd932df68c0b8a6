import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from '@jest/globals';

const IMAGE_BYTES_MAX = 250_000;
const SKIPPED_FOLDERS = new Set(['node_modules', 'dist', '.git', '.cache', 'docs/images']);

function pagesUnder(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = relative('.', join(folder, entry.name));
    if (entry.isDirectory())
      return SKIPPED_FOLDERS.has(path) || entry.name.startsWith('.') ? [] : pagesUnder(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

const pages = pagesUnder('.');

/** Text outside fenced blocks and code spans: only there a bracket is a link. */
function prose(page: string): string {
  return readFileSync(page, 'utf8')
    .replace(/^```[\s\S]*?^```$/gm, '')
    .replace(/`[^`\n]*`/g, '');
}

function targets(page: string): string[] {
  const links = prose(page).matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g);
  const sources = prose(page).matchAll(/<img[^>]+src="([^"]+)"/g);
  return [...links, ...sources].map(([, target = '']) => target).filter((target) => !/^[a-z]+:/.test(target));
}

/** As GitHub makes them: lower case, punctuation gone, spaces to hyphens. */
function anchors(page: string): string[] {
  const text = readFileSync(page, 'utf8').replace(/^```[\s\S]*?^```$/gm, '');
  return [...text.matchAll(/^#{1,6} (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );
}

test('there are pages and links to check', () => {
  expect(pages).toEqual(expect.arrayContaining(['README.md', 'docs/operations.md']));
  expect(pages.flatMap(targets).length).toBeGreaterThan(20);
});

test.each(pages)('every relative link, anchor and image of %s exists', (page) => {
  const broken = targets(page).filter((target) => {
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? page : join(dirname(page), path);
    if (!existsSync(file)) return true;
    return anchor !== undefined && file.endsWith('.md') && !anchors(file).includes(anchor);
  });
  expect(broken).toEqual([]);
});

test('pictures are small, and each is shown somewhere', () => {
  const shown = new Set(
    pages.flatMap((page) => targets(page).map((target) => join(dirname(page), target.split('#')[0] ?? ''))),
  );
  for (const name of readdirSync('docs/images')) {
    const path = join('docs/images', name);
    expect([path, statSync(path).size < IMAGE_BYTES_MAX]).toEqual([path, true]);
    expect([path, shown.has(path)]).toEqual([path, true]);
  }
});
