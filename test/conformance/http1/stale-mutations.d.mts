export function staleMutations(): string[];
