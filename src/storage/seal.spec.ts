import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadEncryptionKeys, SecretSeal } from './seal.js';

const AAD = 'projects|01900000-0000-7000-8000-000000000001';

describe('SecretSeal', () => {
  const [oldKey, newKey] = [randomBytes(32), randomBytes(32)];

  it.each(['whsec_abc', '', 'é 中 😀', 'x'.repeat(100_000)])('opens what it sealed', (text) => {
    const seal = new SecretSeal([newKey]);
    expect(seal.open(seal.seal(text, AAD), AAD)).toBe(text);
  });

  it('seals the same text differently each time, and shows nothing of it', () => {
    const seal = new SecretSeal([newKey]);
    const blobs = Array.from({ length: 50 }, () => seal.seal('whsec_secret', AAD));
    expect(new Set(blobs.map((blob) => blob.toString('hex'))).size).toBe(50);
    for (const blob of blobs) expect(blob.includes('secret')).toBe(false);
  });

  it('opens with an older key of the ring, and seals with the newest', () => {
    const before = new SecretSeal([oldKey]).seal('whsec_1', AAD);
    const ring = new SecretSeal([newKey, oldKey]);
    expect(ring.open(before, AAD)).toBe('whsec_1');
    expect(new SecretSeal([newKey]).open(ring.seal('whsec_2', AAD), AAD)).toBe('whsec_2');
  });

  it('says which key is missing when none of the ring opens it', () => {
    const blob = new SecretSeal([oldKey]).seal('whsec_1', AAD);
    const keyId = blob.subarray(1, 5).toString('hex');
    expect(() => new SecretSeal([newKey]).open(blob, AAD)).toThrow(
      new RegExp(`encryption key ${keyId}, which is not at hand: add that key to ENCRYPTION_KEYS`),
    );
  });

  it('does not open in another place', () => {
    const seal = new SecretSeal([newKey]);
    expect(() => seal.open(seal.seal('whsec_1', AAD), 'projects|other')).toThrow('belongs elsewhere');
  });

  it('does not open when any byte was changed, or some are missing', () => {
    const seal = new SecretSeal([newKey]);
    const blob = seal.seal('whsec_1', AAD);
    for (let at = 0; at < blob.length; at++) {
      const changed = Buffer.from(blob);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => seal.open(changed, AAD)).toThrow(AAD);
      expect(() => seal.open(blob.subarray(0, at), AAD)).toThrow(AAD);
    }
  });

  it.each([
    ['no key', [], /no encryption key/],
    ['a short key', [randomBytes(16)], /32 bytes/],
    ['a long key behind a good one', [randomBytes(32), randomBytes(33)], /32 bytes/],
  ])('refuses %s', (_what, keys, message) => {
    expect(() => new SecretSeal(keys)).toThrow(message);
  });
});

describe('loadEncryptionKeys', () => {
  let dataDir: string;
  beforeEach(() => (dataDir = mkdtempSync(join(tmpdir(), 'baton-seal-'))));
  afterEach(() => rmSync(dataDir, { recursive: true }));

  it('gives the keys of the configuration as they are, and makes no file', async () => {
    const encryptionKeys = [randomBytes(32), randomBytes(32)];
    expect(await loadEncryptionKeys({ encryptionKeys, dataDir })).toEqual(encryptionKeys);
    expect(readdirSync(dataDir)).toEqual([]);
  });

  it('makes one key at the first start, that only its owner reads, and gives it again', async () => {
    const folder = join(dataDir, 'new', 'folder');
    const first = await loadEncryptionKeys({ encryptionKeys: [], dataDir: folder });
    expect(first.map((key) => key.length)).toEqual([32]);
    expect(await loadEncryptionKeys({ encryptionKeys: [], dataDir: folder })).toEqual(first);
    expect(statSync(join(folder, 'encryption-key')).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(['encryption-key']);
  });

  it('gives one key to all of twenty starts at once', async () => {
    const starts = Array.from({ length: 20 }, () => loadEncryptionKeys({ encryptionKeys: [], dataDir }));
    const keys = (await Promise.all(starts)).map(([key]) => key?.toString('hex'));
    expect(new Set(keys).size).toBe(1);
    expect(readdirSync(dataDir)).toEqual(['encryption-key']);
  });

  it.each(['', 'short', randomBytes(31).toString('base64')])(
    'refuses a file that holds %p, and keeps it',
    async (text) => {
      const path = join(dataDir, 'encryption-key');
      writeFileSync(path, text);
      await expect(loadEncryptionKeys({ encryptionKeys: [], dataDir })).rejects.toThrow(path);
      expect(readFileSync(path, 'utf8')).toBe(text);
    },
  );
});
