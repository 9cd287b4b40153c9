// Every field of an activity, by name.
import type { EventRow } from '../api/types';
import { Val } from './Val';

export function EventFields({ event }: { event: EventRow }) {
  return (
    <dl className="facts facts--fields">
      {Object.entries(event.fields).map(([name, value]) => (
        <div key={name} style={{ display: 'contents' }}>
          <dt className="mono">{name}</dt>
          <dd><Val field={name} value={value} endpoint={name.startsWith('device.') ? event.endpoint : undefined} /></dd>
        </div>
      ))}
    </dl>
  );
}
