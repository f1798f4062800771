import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyRequest } from 'fastify';

/** What the server knows of a route besides its path. */
interface UploadConfig {
  readonly takesUpload?: boolean;
}

/**
 * Marks a handler that reads the body itself, with `readForm`: it gets a form (`multipart/form-data`) that nobody has touched,
 * after the guards have let the request in, and may take its time over it.
 */
export const UploadRoute = () => RouteConfig({ takesUpload: true } satisfies UploadConfig);

/** Whether the route of this request is marked so. */
export function takesUpload(request: FastifyRequest): boolean {
  return (request.routeOptions.config as UploadConfig).takesUpload === true;
}
