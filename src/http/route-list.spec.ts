import { RouteList } from './route-list.js';

const routes = new RouteList();
routes.add(['GET', 'HEAD'], '/v1/jobs');
routes.add('POST', '/v1/jobs');
routes.add('GET', '/v1/jobs/:id');
routes.add('POST', '/v1/jobs/:id/cancel');
routes.add('GET', '/');
routes.add('GET', '/*');

test.each([
  ['/v1/jobs', ['GET', 'HEAD', 'POST']],
  ['/v1/jobs/job_1', ['GET']],
  ['/v1/jobs/', []],
  ['/v1/jobs/job_1/cancel', ['POST']],
  ['/v1/job', []],
  ['/nowhere', []],
])('%s has the methods %j', (path, methods) => {
  expect(routes.methodsOf(path)).toEqual(methods);
});

test.each([
  ['/v1/jobs/', '/v1/jobs'],
  ['/jobs', '/v1/jobs'],
  ['/jobs/job_1', '/v1/jobs/job_1'],
  ['/v1/job', '/v1/jobs'],
  ['/favicon.ico', null],
  [`/${'x'.repeat(10_000)}`, null],
])('the path nearest to %s is %s', (path, expected) => {
  expect(routes.nearest(path)).toBe(expected);
});
