import { createParamDecorator, type ExecutionContext } from '@nestjs/common';

/** The project that everything belongs to until projects can be made; the first migration makes it. */
export const DEFAULT_PROJECT_ID = '01900000-0000-7000-8000-000000000001';

/** Who is asking: what the key of a request stands for. */
export interface Principal {
  /** The project's uuid; every query of the request is bounded by it. */
  readonly projectId: string;
}

/** A request that the guard has let in. */
export interface AuthenticatedRequest {
  principal?: Principal;
}

/** The uuid of the caller's project, as a controller's parameter. */
export const Project = createParamDecorator((_data: unknown, context: ExecutionContext): string => {
  const { principal } = context.switchToHttp().getRequest<AuthenticatedRequest>();
  if (!principal) throw new Error('A route that asks for the project must stand behind the key guard');
  return principal.projectId;
});
