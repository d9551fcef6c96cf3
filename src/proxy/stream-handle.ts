import type { Server } from "node:net";
import { getSystemErrorMap } from "node:util";

/**
 * What `net.Socket` is made of: the runtime's stream handles. They are undocumented, so everything that is known
 * of them stands in this file. `handle-check.ts` tries at the start whether it still holds, and where it does
 * not, `socket-connection.ts` serves in the place of `handle-connection.ts`.
 */

/** A TCP or pipe handle, as far as it is used here. Calls answer 0 or a negative error number. */
export interface StreamHandle {
  /** Called on each read, with this handle as `this`; may answer the buffer for the next reads. */
  onread: (this: StreamHandle) => Uint8Array | undefined;
  /** Ours: whose handle it is, until it is closed. */
  connection?: HandleOwner | undefined;
  useUserBuffer(buffer: Uint8Array): void;
  readStart(): number;
  readStop(): number;
  writeLatin1String(request: WriteRequest, text: string): number;
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
  /** Chunks and their encodings in turn. */
  writev(request: WriteRequest, chunks: readonly (string | Uint8Array)[], areBuffers: false): number;
  /** 1 when it is done at once. */
  shutdown(request: ShutdownRequest): number;
  close(closed: (this: StreamHandle) => void): void;
  /** TCP alone. */
  reset?(closed: (this: StreamHandle) => void): number;
  getpeername?(into: AddressFacts): number;
  getsockname?(into: AddressFacts): number;
}

/** One end of a connection, filled in by the handle. */
export interface AddressFacts {
  address: string | undefined;
  family: string | undefined;
  port: number | undefined;
}

/** A write that the kernel did not take whole at once. */
export interface WriteRequest {
  oncomplete: (this: WriteRequest, status: number) => void;
  connection?: HandleOwner;
  bytes?: number;
  /** Kept from the collector until the write is done. */
  kept?: unknown;
}

/** An end that is being sent. */
export interface ShutdownRequest {
  oncomplete: (this: ShutdownRequest) => void;
  connection?: HandleOwner;
}

/** A TCP handle that connects. The options hold from the connecting on. */
export interface DialingHandle extends StreamHandle {
  connect(request: ConnectRequest, address: string, port: number): number;
  connect6(request: ConnectRequest, address: string, port: number): number;
  setNoDelay(isOn: boolean): number;
  setKeepAlive(isOn: boolean, delayS: number): number;
}

/** A connecting under way. */
export interface ConnectRequest {
  oncomplete: (this: ConnectRequest, status: number) => void;
  owner?: ConnectOwner;
}

/** Whom the runtime tells of a connecting. */
export interface ConnectOwner {
  /** Connected where it is 0, and otherwise the negative number of why not. */
  connectDone(status: number): void;
}

/** The runtime's TCP: handles, and requests to connect them. */
interface TcpBinding {
  readonly TCP: new (type: number) => DialingHandle;
  readonly TCPConnectWrap: new () => ConnectRequest;
  readonly constants: { readonly SOCKET: number };
}

/** What the runtime tells of its streams: the requests' classes, and numbers of the last call. */
interface StreamBinding {
  readonly WriteWrap: new () => WriteRequest;
  readonly ShutdownWrap: new () => ShutdownRequest;
  readonly streamBaseState: Int32Array;
  /** Index of the bytes read, or of the error number. */
  readonly kReadBytesOrError: number;
  /** Index of whether the last write has yet to be completed. */
  readonly kLastWriteWasAsync: number;
}

/** Whom the runtime tells. */
export interface HandleOwner {
  /** `length` bytes lie in the buffer, or a negative number says why none do. */
  read(length: number): Uint8Array | undefined;
  /** The kernel has taken the bytes of a write, or never will. */
  written(bytes: number, status: number): void;
  /** The end was sent. */
  shutDownDone(): void;
  /** The handle is closed. */
  gone(): void;
}

/** A handle that listens. */
export interface ListeningHandle {
  onconnection: (status: number, client: StreamHandle | undefined) => void;
  setNoDelay?(isOn: boolean): number;
  setKeepAlive?(isOn: boolean, delayS: number): number;
}

/** What a read tells at the end of the stream. */
export const END_OF_STREAM = [...getSystemErrorMap()].find(([, [name]]) => name === "EOF")?.[0];

const binding = findBinding();
const tcpBinding = findTcpBinding();
const state = binding?.streamBaseState ?? new Int32Array(8);
const readIndex = binding?.kReadBytesOrError ?? 0;
const asyncIndex = binding?.kLastWriteWasAsync ?? 0;

/** Throws where the process runs with restricted permissions. */
function bindingOf(name: string): unknown {
  return (process as unknown as { binding(name: string): unknown }).binding(name);
}

function findBinding(): StreamBinding | undefined {
  try {
    const found = bindingOf("stream_wrap");
    const { WriteWrap, ShutdownWrap, streamBaseState, ...indexes } = found as Partial<StreamBinding>;
    const hasClasses = typeof WriteWrap === "function" && typeof ShutdownWrap === "function";
    const hasState = streamBaseState instanceof Int32Array && Number.isInteger(indexes.kReadBytesOrError);
    const isKnown = hasClasses && hasState && Number.isInteger(indexes.kLastWriteWasAsync);
    return isKnown ? (found as StreamBinding) : undefined;
  } catch {
    return undefined;
  }
}

function findTcpBinding(): TcpBinding | undefined {
  try {
    const found = bindingOf("tcp_wrap") as Partial<TcpBinding>;
    const hasClasses = typeof found.TCP === "function" && typeof found.TCPConnectWrap === "function";
    return hasClasses && Number.isInteger(found.constants?.SOCKET) ? (found as TcpBinding) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the runtime shows what is needed; whether it works is for `handle-check.ts` to find out. */
export function hasStreamHandles(): boolean {
  return binding !== undefined && tcpBinding !== undefined && END_OF_STREAM !== undefined;
}

/** A handle that is to connect; undefined where the runtime has none that we know. */
export function newDialingHandle(): DialingHandle | undefined {
  return tcpBinding === undefined ? undefined : new tcpBinding.TCP(tcpBinding.constants.SOCKET);
}

/** Begins to connect to an IP address; what is below 0 says why not, otherwise the owner is told. */
export function connectHandle(
  handle: DialingHandle,
  owner: ConnectOwner,
  address: string,
  port: number,
): number {
  if (tcpBinding === undefined) return -1;
  const request = new tcpBinding.TCPConnectWrap();
  request.oncomplete = onConnectDone;
  request.owner = owner;
  // Of the addresses that were told from names before, by a colon.
  const isIPv6 = address.includes(":");
  return isIPv6 ? handle.connect6(request, address, port) : handle.connect(request, address, port);
}

/** The handle of a server that listens; undefined when it is not what we know. */
export function listeningHandleOf(server: Server): ListeningHandle | undefined {
  const handle = (server as unknown as { _handle?: ListeningHandle | null })._handle;
  return hasStreamHandles() && typeof handle?.onconnection === "function" ? handle : undefined;
}

/** Has the owner told of reads, the first ones into this buffer. */
export function ownHandle(handle: StreamHandle, owner: HandleOwner, buffer: Uint8Array): void {
  handle.connection = owner;
  handle.onread = onRead;
  handle.useUserBuffer(buffer);
}

/** Closes a handle that has an owner; `gone` follows. */
export function closeHandle(handle: StreamHandle): void {
  handle.close(onClosed);
}

/** The same with a TCP reset, where the handle has one. */
export function resetHandle(handle: StreamHandle): void {
  if (handle.reset === undefined) handle.close(onClosed);
  else handle.reset(onClosed);
}

/** Filled in by each call, so that none has to build an object from nothing (the close row pays for it). */
const facts: AddressFacts = { address: undefined, family: undefined, port: undefined };

/** The peer's address, valid until the next call; undefined when it is gone. A pipe has none and answers no facts. */
export function peerOf(handle: StreamHandle): Readonly<AddressFacts> | undefined {
  if (handle.getpeername === undefined) return NO_FACTS;
  return handle.getpeername(facts) === 0 ? facts : undefined;
}

/** Our own address on the connection, valid until the next call; without facts where there is none. */
export function localOf(handle: StreamHandle): Readonly<AddressFacts> {
  return handle.getsockname?.(facts) === 0 ? facts : NO_FACTS;
}

const NO_FACTS: Readonly<AddressFacts> = { address: undefined, family: undefined, port: undefined };

/** A request for writes. It may be used again as long as writes are done at once. */
export function newWriteRequest(): WriteRequest | undefined {
  if (binding === undefined) return undefined;
  const request = new binding.WriteWrap();
  request.oncomplete = onWritten;
  return request;
}

/** Whether the write that was just made has yet to be completed; its request is taken then. */
export function wasWriteAsync(): boolean {
  return state[asyncIndex] !== 0;
}

/** Asks for the end to be sent, behind what was written; false when it is done already. */
export function shutDown(handle: StreamHandle, owner: HandleOwner): boolean {
  if (binding === undefined) return false;
  const request = new binding.ShutdownWrap();
  request.connection = owner;
  request.oncomplete = onShutDown;
  return handle.shutdown(request) === 0;
}

function onRead(this: StreamHandle): Uint8Array | undefined {
  return this.connection?.read(state[readIndex] as number);
}

function onWritten(this: WriteRequest, status: number): void {
  this.kept = undefined;
  this.connection?.written(this.bytes ?? 0, status);
}

function onConnectDone(this: ConnectRequest, status: number): void {
  this.owner?.connectDone(status);
}

function onShutDown(this: ShutdownRequest): void {
  this.connection?.shutDownDone();
}

/** Shared by all handles, and the owner is let go of by a store: `delete` would make the handle a slow object (the close row). */
function onClosed(this: StreamHandle): void {
  const owner = this.connection;
  this.connection = undefined;
  owner?.gone();
}
