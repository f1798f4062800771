import { registerDecorator } from 'class-validator';
import { textFlaw } from './text-flaw.js';

/** Checks that a property, if it is a text, can be kept as it is. */
export function IsStorable(): PropertyDecorator {
  return (target, property) => {
    registerDecorator({
      name: 'isStorable',
      target: target.constructor,
      propertyName: String(property),
      validator: {
        validate: (value: unknown) => typeof value !== 'string' || textFlaw(value) === null,
        defaultMessage: (args) =>
          `${args?.property ?? 'text'} must not hold ${textFlaw(String(args?.value)) ?? 'that'}`,
      },
    });
  };
}
