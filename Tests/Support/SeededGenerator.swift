import Glibc

/// SplitMix64: a sequence that a printed seed repeats.
package struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  package init(seed: UInt64) {
    state = seed
  }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  package mutating func below(_ bound: Int) -> Int {
    Int.random(in: 0..<bound, using: &self)
  }

  /// Whether something with these odds happens.
  package mutating func chance(_ percent: Int) -> Bool {
    below(100) < percent
  }

  package mutating func pick<Element>(_ elements: [Element]) -> Element {
    elements[below(elements.count)]
  }

  /// A seed of this run, to be printed with what fails; `FAREBOX_SEED` repeats one.
  package static func seed() -> UInt64 {
    let given = unsafe getenv("FAREBOX_SEED").flatMap { unsafe UInt64(String(cString: $0)) }
    return given ?? UInt64.random(in: 0...UInt64.max)
  }

  /// How many times as long as usual random tests run: `FAREBOX_LONG`, where 1 only says that it is long.
  package static var factor: Int {
    switch unsafe getenv("FAREBOX_LONG").flatMap({ unsafe Int(String(cString: $0)) }) ?? 0 {
    case ...0: 1
    case 1: 20
    case let factor: factor
    }
  }
}
