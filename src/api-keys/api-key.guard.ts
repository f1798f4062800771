import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { ApiError } from '../http/api-error.js';
import { PUBLIC_ROUTE } from '../http/public-route.js';
import { ApiKeysService } from './api-keys.service.js';
import type { AuthenticatedRequest } from './principal.js';

const BEARER = /^Bearer +(\S+) *$/i;

/** Lets a request in by its bearer key. Every route is closed but those marked with `PublicRoute`. */
@Injectable()
export class ApiKeyGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly keys: ApiKeysService,
  ) {}

  canActivate(context: ExecutionContext): boolean {
    if (this.reflector.getAllAndOverride<boolean>(PUBLIC_ROUTE, [context.getHandler(), context.getClass()]))
      return true;
    const request = context.switchToHttp().getRequest<FastifyRequest & AuthenticatedRequest>();
    const { authorization } = request.headers;
    if (authorization === undefined) {
      throw new ApiError(
        'missing_api_key',
        'No API key given. Send it as the header: Authorization: Bearer <key>.',
      );
    }
    const key = BEARER.exec(authorization)?.[1];
    const principal = key === undefined ? null : this.keys.authenticate(key);
    if (!principal) {
      throw new ApiError(
        'invalid_api_key',
        'The API key is not known here. Check the header: Authorization: Bearer <key>.',
      );
    }
    request.principal = principal;
    return true;
  }
}
