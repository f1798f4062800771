import { MetricsService } from './metrics.service.js';

test('what is counted is exposed, with the process itself', async () => {
  const metrics = new MetricsService();
  metrics.jobsSubmitted.inc({ endpoint: '/v1/chat/completions' });
  metrics.attempts.inc({ provider: 'sim', outcome: 'failed', class: 'timeout' });
  metrics.jobDuration.observe({ status: 'completed' }, 0.2);
  const { contentType, text } = await metrics.expose();
  expect(contentType).toMatch(/^text\/plain/);
  expect(text).toContain('baton_jobs_submitted_total{endpoint="/v1/chat/completions"} 1');
  expect(text).toContain('baton_attempts_total{provider="sim",outcome="failed",class="timeout"} 1');
  expect(text).toContain('baton_job_duration_seconds_bucket{le="0.25",status="completed"} 1');
  expect(text).toContain('process_cpu_seconds_total');
});

test('two apps in one process count apart', async () => {
  const [one, other] = [new MetricsService(), new MetricsService()];
  one.fallbacks.inc();
  expect((await one.expose()).text).toContain('baton_fallbacks_total 1');
  expect((await other.expose()).text).toContain('baton_fallbacks_total 0');
});
