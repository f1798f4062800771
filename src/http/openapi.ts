import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { withNullTypes } from './null-types.js';
import { packageFacts } from '../config/package-facts.js';
import { ErrorEnvelopeDto } from './replies.dto.js';

/** Written by the build out of the DTOs' comments and rules. */
const METADATA_FILE = join(__dirname, '../metadata.js');

/** Serves the API's description at `/openapi.json` and a page to read and try it at `/docs`, both without a key. */
export async function setupOpenApi(app: NestFastifyApplication): Promise<void> {
  // Sources that run without a build have no metadata: the description then lacks the DTOs' comments.
  if (existsSync(METADATA_FILE)) {
    const metadata = (await import(METADATA_FILE)) as { default: () => Promise<Record<string, never>> };
    await SwaggerModule.loadPluginMetadata(metadata.default);
  }
  SwaggerModule.setup('docs', app, () => describe(app), {
    jsonDocumentUrl: 'openapi.json',
    raw: ['json'],
    customSiteTitle: 'Baton API',
  });
}

function describe(app: NestFastifyApplication): OpenAPIObject {
  const { description, version } = packageFacts();
  const base = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Baton')
    .setDescription(description)
    .setVersion(version)
    .addSecurity('bearer', { type: 'http', scheme: 'bearer', description: 'An API key of this Baton.' })
    .addSecurityRequirements('bearer')
    .addGlobalResponse({ status: 'default', description: 'What went wrong', type: ErrorEnvelopeDto })
    .build();
  return withNullTypes(SwaggerModule.createDocument(app, base, { extraModels: [ErrorEnvelopeDto] }));
}
