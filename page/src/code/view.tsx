export function Code() {
  return <section class="code" aria-label="Code" />;
}
