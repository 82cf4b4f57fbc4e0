import FareboxCore
import Testing

@Suite struct JSONPlaceTests {
  private static let text = """
    {
      "a": {"b": [1, {"c": "x"}]},
      "ü": true, "d.e": {"f": 1}, "d": {"g": 2},
      "a[0]": null
    }
    """

  @Test(arguments: [
    ("", "", 1, 1), ("a", "a", 2, 3), ("a.b", "a.b", 2, 9), ("a.b[0]", "a.b[0]", 2, 15),
    ("a.b[1].c", "a.b[1].c", 2, 19),
    ("a.b[1].x", "a.b[1]", 2, 18), ("a.b[7].x", "a.b", 2, 9), ("x", "", 1, 1), ("ü", "ü", 3, 3),
    ("d.e.f", "d.e.f", 3, 22),
    ("d.g", "d.g", 3, 37), ("a[0]", "a[0]", 4, 3), ("ab", "", 1, 1),
  ])
  func `a member is found by its path`(path: String, found: String, line: Int, column: Int) throws {
    let place = try #require(JSONPlace.find(path, in: Array(JSONPlaceTests.text.utf8)))
    #expect(place.path == found)
    #expect(place.line == line)
    #expect(place.column == column)
  }

  @Test func `the bytes of a value are its own`() throws {
    let bytes = Array(JSONPlaceTests.text.utf8)
    let place = try #require(JSONPlace.find("a.b", in: bytes))
    #expect(String(decoding: bytes[place.value], as: UTF8.self) == #"[1, {"c": "x"}]"#)
  }

  @Test(arguments: ["", "{", "[1, 2", #"{"a" 1"#, #"{"a": "#, "tru"])
  func `what is not JSON has no places`(text: String) {
    #expect(JSONPlace.find("a", in: Array(text.utf8)) == nil)
  }
}
