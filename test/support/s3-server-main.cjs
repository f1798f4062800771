/**
 * An S3 server as a process of its own: `node s3-server-main.cjs <folder> <bucket>` prints its port. s3rver checks signatures and
 * keeps objects in the folder; it has no list of unfinished uploads and cannot abort one, so these two are added here, by
 * what S3's API reference says of them, without a check of their signatures.
 */
const { existsSync, readdirSync, readFileSync, rmSync } = require('node:fs');
const path = require('node:path');
const S3rver = require('@20minutes/s3rver');

const [, , directory, bucket] = process.argv;
const server = new S3rver({
  address: '127.0.0.1',
  port: 0,
  silent: true,
  directory,
  configureBuckets: [{ name: bucket }],
});

function uploads() {
  const folder = server.store.getResourcePath(bucket, undefined, 'uploads');
  if (!existsSync(folder)) return [];
  return readdirSync(folder).map((id) => ({
    id,
    path: path.join(folder, id),
    key: readFileSync(path.join(folder, id, 'key'), 'utf8'),
  }));
}

server.middleware.unshift(async (ctx, next) => {
  if (ctx.method === 'GET' && 'uploads' in ctx.query && ctx.path.replace(/\/$/, '') === `/${bucket}`) {
    const found = uploads().filter(({ key }) => key.startsWith(ctx.query.prefix ?? ''));
    const items = found.map(({ id, key }) => `<Upload><Key>${key}</Key><UploadId>${id}</UploadId></Upload>`);
    ctx.type = 'application/xml';
    ctx.body = `<ListMultipartUploadsResult><Bucket>${bucket}</Bucket>${items.join('')}</ListMultipartUploadsResult>`;
  } else if (ctx.method === 'DELETE' && 'uploadId' in ctx.query) {
    const found = uploads().find(({ id }) => id === ctx.query.uploadId);
    if (found) rmSync(found.path, { recursive: true });
    ctx.status = found ? 204 : 404;
  } else {
    await next();
  }
});

server.run().then(({ port }) => console.log(port));
