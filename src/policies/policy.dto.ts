import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  Equals,
  IsArray,
  IsInt,
  IsObject,
  IsOptional,
  IsString,
  Max,
  MaxLength,
  Min,
  registerDecorator,
  ValidateNested,
} from 'class-validator';
import { FAILURE_CLASSES, type FailureClass, RULE_DECISIONS, type RuleDecision } from '../routing/failure.js';

const ONE_DAY_MS = 86_400_000;
/** How many models a chain may have, as written and once its policies are laid out. */
export const MOST_STEPS = 50;

/** One model of a policy, or another policy whose steps stand here. */
export class PolicyStepDto {
  /** `provider/model`, or `policy/name` to lay that policy's steps in here. */
  @IsString()
  @MaxLength(256)
  model: string;

  /** How many times this model is tried again after a failure that can heal, before the next model. Default 0. */
  @IsOptional()
  @IsInt()
  @Min(0)
  @Max(10)
  retries?: number;

  /** The hard wall of one call in milliseconds. Default 300000. */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(ONE_DAY_MS)
  timeout_ms?: number;

  /** Fields laid over the top level of the request for this model. */
  @IsOptional()
  @IsObject()
  overrides?: Record<string, unknown>;
}

/** A fallback policy as it is written by its owner. */
export class PolicyDto {
  /** May be repeated here; it must be the name in the path. */
  @IsOptional()
  @IsString()
  name?: string;

  @IsOptional()
  @IsString()
  @MaxLength(1024)
  description?: string;

  /** How the next model is chosen: `fallback` goes down the list. */
  @IsOptional()
  @Equals('fallback', { message: "strategy must be 'fallback', the one strategy of this version" })
  strategy?: 'fallback';

  /** The chain, first to last. */
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(MOST_STEPS)
  @IsObject({ each: true })
  @ValidateNested({ each: true })
  @Type(() => PolicyStepDto)
  steps: PolicyStepDto[];

  /** What to do on a class of failure, over the defaults: `{"timeout": "next"}`. */
  @IsOptional()
  @IsRules()
  on?: Partial<Record<FailureClass, RuleDecision>>;

  /** How often the whole chain is tried before the job fails. Default 3. */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(100)
  rounds?: number;

  /** How many calls one job may make in all. Default 10, or the number of models if that is more. */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(1000)
  max_attempts?: number;
}

/** An object of failure class to decision; the message names the key that is wrong and what would be right. */
function IsRules(): PropertyDecorator {
  return (target, property) => {
    registerDecorator({
      name: 'isRules',
      target: target.constructor,
      propertyName: String(property),
      validator: {
        validate: (value) => problemOfRules(value) === null,
        defaultMessage: (args) => `${args?.property ?? 'on'} ${problemOfRules(args?.value) ?? 'is wrong'}`,
      },
    });
  };
}

function problemOfRules(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return 'must be an object of failure class to decision, such as {"timeout": "next"}';
  }
  for (const [key, decision] of Object.entries(value)) {
    if (!(FAILURE_CLASSES as readonly string[]).includes(key)) {
      return `has the unknown class '${key.slice(0, 64)}'. The classes are: ${FAILURE_CLASSES.join(', ')}`;
    }
    if (!(RULE_DECISIONS as readonly unknown[]).includes(decision)) {
      return `says ${JSON.stringify(decision).slice(0, 64)} for ${key}. It must be one of: ${RULE_DECISIONS.join(', ')}`;
    }
  }
  return null;
}
