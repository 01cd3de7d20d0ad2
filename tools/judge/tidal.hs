:set -XOverloadedStrings
:set prompt ""
:set prompt-cont ""
import Sound.Tidal.Context
import qualified Data.Map.Strict as Map
import Data.List (intercalate)
import Data.Ratio (numerator, denominator)
:{
let judgeValue :: Value -> String
    judgeValue value = case value of
      VS text -> show text
      VF number -> show number
      VI number -> show number
      VR number -> show (fromRational number :: Double)
      VB switch -> if switch then "true" else "false"
      VN (Note number) -> show number
      _ -> "null"
    judgeTime time = "\"" ++ show (numerator time) ++ "/" ++ show (denominator time) ++ "\""
    judgeMap values = "{" ++ intercalate "," [show name ++ ":" ++ judgeValue value | (name, value) <- Map.toList values] ++ "}"
    judgeEvent event = "[" ++ judgeTime (start (wholeOrPart event)) ++ "," ++ judgeTime (stop (wholeOrPart event)) ++ "," ++ judgeMap (value event) ++ "]"
    judge :: ControlPattern -> IO ()
    judge pattern = putStrLn ("@" ++ "[" ++ intercalate "," (map judgeEvent (filter eventHasOnset (queryArc pattern (Arc 0 4)))) ++ "]")
:}
