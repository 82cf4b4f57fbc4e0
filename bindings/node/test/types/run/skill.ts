/* Decorated methods, compiled by tsc and run. */

import { Farebox, pricing } from 'farebox';

class Skill {
  factor = 2;

  @pricing({ cost: '0.02' })
  twice(value: number): number {
    return this.factor * value;
  }

  @pricing({ cost: '0.02' })
  async later(value: number): Promise<number> {
    return this.factor * value;
  }
}

async function main(): Promise<void> {
  const engine = await Farebox.open('memory:');
  await engine.deposit('user:ana', 10);
  const skill = new Skill();
  const sum = await engine.paying('user:ana', async () => skill.twice(1) + (await skill.later(2)));
  if (sum !== 6) throw new Error(`${sum}`);
  process.stdout.write(`${(await engine.balance('user:ana')).balance}\n`);
  await engine.close();
}

declare const process: { stdout: { write(text: string): void } };
main();
